/** A wrong header must not bench a deployment for a day; a right one that is longer costs one refused probe each time. */
export const MAX_RETRY_AFTER_MS = 300_000;

/** What a 429 says of when to come back: the texts of its headers, null where absent. */
export interface RetryHints {
  readonly retryAfterMs: string | null;
  readonly retryAfter: string | null;
  /** Pairs of `…-remaining…` and `…-reset…`. */
  readonly limits: readonly RateLimitHint[];
}

export interface RateLimitHint {
  readonly remaining: string | null;
  readonly reset: string | null;
}

/**
 * Ms to wait, at most `MAX_RETRY_AFTER_MS`; null if the answer does not say. `retry-after` comes before the resets, and of
 * these only those count whose limit is used up: the longest.
 */
export function retryAfterMs(hints: RetryHints, nowUnixMs: number): number | null {
  const stated = milliseconds(hints.retryAfterMs) ?? secondsOrDate(hints.retryAfter, nowUnixMs);
  if (stated !== null) return bounded(stated);
  let longest: number | null = null;
  for (const { remaining, reset } of hints.limits) {
    if (remaining === null || Number(remaining) > 0 || remaining.trim() === '') continue;
    const wait = resetMs(reset, nowUnixMs);
    if (wait !== null && (longest === null || wait > longest)) longest = wait;
  }
  return longest === null ? null : bounded(longest);
}

function bounded(waitMs: number): number {
  return Math.min(Math.max(waitMs, 0), MAX_RETRY_AFTER_MS);
}

function milliseconds(text: string | null): number | null {
  if (text === null || !NUMBER.test(text.trim())) return null;
  return Number(text);
}

/** RFC 9110 §10.2.3: seconds (providers send fractions too) or a date. */
function secondsOrDate(text: string | null, nowUnixMs: number): number | null {
  if (text === null) return null;
  if (NUMBER.test(text.trim())) return Number(text) * 1000;
  return untilDate(text, nowUnixMs);
}

/** A duration (`6m0s`, `20ms`), seconds, a moment in Unix seconds or ms, or a date: each has its provider. */
function resetMs(text: string | null, nowUnixMs: number): number | null {
  if (text === null) return null;
  const trimmed = text.trim();
  if (NUMBER.test(trimmed)) {
    const value = Number(trimmed);
    if (value > UNIX_MS_FROM) return value - nowUnixMs;
    if (value > UNIX_SECONDS_FROM) return value * 1000 - nowUnixMs;
    return value * 1000;
  }
  return durationMs(trimmed) ?? untilDate(trimmed, nowUnixMs);
}

const LETTER = /[a-z]/i;
const NUMBER = /^\d+(?:\.\d+)?$/;
/** Larger numbers are moments: as durations they would be 31 years. */
const UNIX_SECONDS_FROM = 1e9;
const UNIX_MS_FROM = 1e12;

function durationMs(text: string): number | null {
  const match = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/.exec(text);
  if (match === null || text === '') return null;
  const [, days, hours, minutes, seconds, millis] = match;
  const part = (value: string | undefined, unitMs: number): number =>
    value === undefined ? 0 : Number(value) * unitMs;
  return (
    part(days, 86_400_000) + part(hours, 3_600_000) + part(minutes, 60_000) + part(seconds, 1000) + part(millis, 1)
  );
}

function untilDate(text: string, nowUnixMs: number): number | null {
  // `Date.parse` takes nearly anything for a date, -5 for one.
  const at = LETTER.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? null : Math.max(0, at - nowUnixMs);
}
