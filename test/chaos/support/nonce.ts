import { NONCE_DIGITS } from '../../../src/cli/bench/load-spec.ts';

/*
 * A request's number is in it twice: as `nonce-…` in its body, which mock providers send back, and as trace id in its
 * `traceparent`, which the journal keeps. The run's own half of the trace id tells one run's lines from another's.
 */

const RUN_DIGITS = 16;

export function nonceText(number: number): string {
  return `nonce-${String(number).padStart(NONCE_DIGITS, '0')}`;
}

/** 16 hex digits, not all zero. */
export function newRunId(random: () => number): string {
  return `c${Array.from({ length: RUN_DIGITS - 1 }, () => Math.floor(random() * 16).toString(16)).join('')}`;
}

export function traceparent(runId: string, number: number): string {
  return `00-${runId}${number.toString(16).padStart(16, '0')}-00000000000000ff-01`;
}

/** @returns the number of the request with this trace id; null when it is not of this run. */
export function numberOfTrace(runId: string, traceId: string | null): number | null {
  if (traceId === null || !traceId.startsWith(runId)) return null;
  return Number.parseInt(traceId.slice(RUN_DIGITS), 16);
}

/** Numbers of all nonces in a text. */
export function noncesIn(text: string): number[] {
  return Array.from(text.matchAll(/nonce-(\d{10})/g), ([, digits]) => Number(digits));
}
