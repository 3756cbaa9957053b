import { z } from 'zod';
import { addDuration, parseDuration } from '../../domain/time/duration.ts';
import { isBudgetDuration } from '../../domain/budgets/budget-window.ts';
import { isTimeZone } from '../../domain/budgets/zoned-days.ts';
import { resolvePlainScalar } from './yaml-scalars.ts';

/*
 * Schemas of single values. They take the text that stands in the file or the environment (config-node.ts, `toTexts`).
 * No message repeats the value: it could be a secret.
 */

const NANO_PER_DOLLAR = 1e9;
/** Nano-dollars of it are counted in 63 bits. */
const LARGEST_DOLLARS = 9e9;
const LARGEST_SECONDS = 31 * 24 * 3600;

function refuse(context: z.core.$RefinementCtx, message: string): never {
  context.issues.push({ code: 'custom', message, input: undefined });
  return z.NEVER;
}

const scalar = z.union([z.string(), z.number(), z.boolean()], { error: 'must be a single value' });

/** Any text; numbers and booleans count as they are written. */
export const text = (): z.ZodType<string> =>
  scalar.transform((value, context) => {
    const trimmed = String(value).trim();
    return trimmed === '' ? refuse(context, 'must not be empty') : trimmed;
  });

/** The decimal text of a number, in any notation that YAML, JSON or Python writes. */
export const decimalText = (): z.ZodType<string> =>
  scalar.transform((value, context) => {
    const written = String(value).trim();
    return Number.isNaN(toNumber(written)) ? refuse(context, 'must be a number') : written;
  });

export const number = (minimum: number, maximum: number): z.ZodType<number> =>
  scalar.transform((value, context) => {
    const parsed = toNumber(String(value));
    if (Number.isNaN(parsed)) return refuse(context, 'must be a number');
    return parsed < minimum || parsed > maximum ? refuse(context, rangeMessage(minimum, maximum)) : parsed;
  });

export const integer = (minimum: number, maximum: number): z.ZodType<number> =>
  scalar.transform((value, context) => {
    const parsed = toNumber(String(value));
    if (!Number.isSafeInteger(parsed)) return refuse(context, 'must be a whole number');
    return parsed < minimum || parsed > maximum ? refuse(context, rangeMessage(minimum, maximum)) : parsed;
  });

/** Dollars in the file, nano-dollars in the program. */
export const dollars = (): z.ZodType<number> =>
  number(0, LARGEST_DOLLARS).transform((amount) => Math.round(amount * NANO_PER_DOLLAR));

/** LiteLLM's durations of budgets: `30s`, `24h`, `7d`, `1mo`. */
export const budgetDuration = (): z.ZodType<string> =>
  text().refine(isBudgetDuration, 'must be a duration such as 30s, 30m, 24h, 7d or 1mo');

export const timeZone = (): z.ZodType<string> =>
  text().refine(isTimeZone, 'must be a time zone such as UTC or Europe/Berlin');

/** Seconds in the file, milliseconds in the program. */
export const seconds = (options: { zero?: boolean } = {}): z.ZodType<number> =>
  scalar.transform((value, context) => {
    const parsed = toNumber(String(value));
    if (Number.isNaN(parsed)) return refuse(context, 'must be a number of seconds');
    const minimum = options.zero === true ? 0 : 0.001;
    if (parsed < minimum || parsed > LARGEST_SECONDS) {
      return refuse(context, `${rangeMessage(minimum, LARGEST_SECONDS)} seconds`);
    }
    return Math.round(parsed * 1000);
  });

/** Seconds, or `never`, which is null in the program. */
export const secondsOrNever = (): z.ZodType<number | null> =>
  z.union([z.literal('never').transform(() => null), seconds({ zero: true })], {
    error: 'must be a number of seconds, or never',
  });

/** LiteLLM's durations (`30s`, `24h`, `7d`, `1mo` of 30 days), or `never`: ms, or null, in the program. */
export const durationOrNever = (): z.ZodType<number | null> =>
  scalar.transform((value, context) => {
    const written = String(value).trim();
    if (written === 'never') return null;
    const duration = parseDuration(written);
    if (duration === null) return refuse(context, 'must be a duration such as 12h or 30d, or never');
    return duration.unit === 'mo' ? duration.amount * 30 * 86_400_000 : addDuration(0, duration);
  });

/** A whole number, or `unlimited`, which is null in the program. */
export const integerOrUnlimited = (minimum: number, maximum: number): z.ZodType<number | null> =>
  z.union([z.literal('unlimited').transform(() => null), integer(minimum, maximum)], {
    error: `must be a whole number from ${minimum} to ${maximum}, or unlimited`,
  });

export const flag = (): z.ZodType<boolean> =>
  scalar.transform((value, context) => {
    const parsed = toFlag(String(value));
    return parsed ?? refuse(context, 'must be true or false (yes, no, on and off will do)');
  });

/** @param tolerated taken too, but not offered. */
export const choice = <const T extends readonly string[], const U extends readonly string[] = readonly []>(
  options: T,
  tolerated?: U,
): z.ZodType<T[number] | U[number]> =>
  scalar.transform((value, context) => {
    const all = [...options, ...(tolerated ?? [])];
    const found = all.find((option) => option === String(value).trim().toLowerCase());
    return found ?? refuse(context, `must be one of: ${options.join(', ')}`);
  });

/** A list of texts; a single text is a list of one. */
export const texts = (): z.ZodType<readonly string[]> =>
  z.union([z.array(text()), text().transform((single) => [single])], { error: 'must be a list of names' });

/** `true`, `false`, or the path of a PEM file. */
export const flagOrPath = (): z.ZodType<boolean | string> => text().transform((value) => toFlag(value) ?? value);

/** A moment: `2026-12-31`, `2026-12-31T23:59:59Z` or with an offset; without one it is UTC. Unix ms in the program. */
export const moment = (): z.ZodType<number> =>
  scalar.transform((value, context) => {
    const written = String(value).trim().replace(' ', 'T');
    const pattern = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/;
    const hasZone = /(?:Z|[+-]\d{2}:?\d{2})$/.test(written.slice(10));
    const parsed = Date.parse(hasZone || written.length === 10 ? written : `${written}Z`);
    return !pattern.test(written) || Number.isNaN(parsed)
      ? refuse(context, 'must be a date such as 2026-12-31 or 2026-12-31T23:59:59Z')
      : parsed;
  });

function toFlag(written: string): boolean | null {
  const word = written.trim().toLowerCase();
  if (word === '1' || word === '0') return word === '1';
  const value = resolvePlainScalar(word);
  return typeof value === 'boolean' ? value : null;
}

/** NaN for what is no finite number. `1e-6` is one here, though it is text to PyYAML: LiteLLM converts it too. */
function toNumber(written: string): number {
  const word = written.trim();
  const value = resolvePlainScalar(word);
  const parsed =
    typeof value === 'number' ? value : /^[-+]?[\d.]+(?:e[-+]?\d+)?$/i.test(word) ? Number(word) : Number.NaN;
  return Number.isFinite(parsed) ? parsed : Number.NaN;
}

function rangeMessage(minimum: number, maximum: number): string {
  return `must be from ${minimum} to ${maximum}`;
}
