/** Units of LiteLLM's durations, such as `30s`, `15m`, `24h`, `30d`, `1w`, `1mo`. */
const UNIT_MS = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
} as const;

export type DurationUnit = keyof typeof UNIT_MS | 'mo';

export interface Duration {
  readonly amount: number;
  readonly unit: DurationUnit;
}

const PATTERN = /^(\d{1,6})(s|m|h|d|w|mo)$/;
/** A thousand months: beyond anyone's patience, and far from the end of what a date can hold. */
const MAX_MONTHS = 1000;

/** Null when `text` is no duration, or none that is longer than nothing. */
export function parseDuration(text: string): Duration | null {
  const [, digits, unit] = PATTERN.exec(text.trim()) ?? [];
  if (digits === undefined || unit === undefined) return null;
  const amount = Number(digits);
  if (amount === 0 || (unit === 'mo' && amount > MAX_MONTHS)) return null;
  return { amount, unit: unit as DurationUnit };
}

/** Unix ms. A month ends on the same day of the next one, or on its last day (UTC). */
export function addDuration(startMs: number, { amount, unit }: Duration): number {
  if (unit !== 'mo') return startMs + amount * UNIT_MS[unit];
  const start = new Date(startMs);
  const end = new Date(startMs);
  end.setUTCDate(1);
  end.setUTCMonth(end.getUTCMonth() + amount);
  const lastDay = new Date(Date.UTC(end.getUTCFullYear(), end.getUTCMonth() + 1, 0)).getUTCDate();
  end.setUTCDate(Math.min(start.getUTCDate(), lastDay));
  return end.getTime();
}
