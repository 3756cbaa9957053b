import type { DayRange } from './spend-queries.ts';

const MS_PER_DAY = 86_400_000;
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
/** What LiteLLM's views of spend look back on. */
const DEFAULT_DAYS = 30;

/** Days since 1970-01-01, UTC. */
export function dayOf(unixMs: number): number {
  return Math.floor(unixMs / MS_PER_DAY);
}

export function dayStartMs(day: number): number {
  return day * MS_PER_DAY;
}

/** `YYYY-MM-DD` */
export function dayText(day: number): string {
  return new Date(day * MS_PER_DAY).toISOString().slice(0, 10);
}

/** `Jan 05`, as LiteLLM's activity has it. */
export function shortDayText(day: number): string {
  const date = new Date(day * MS_PER_DAY);
  return `${MONTHS[date.getUTCMonth()] ?? ''} ${String(date.getUTCDate()).padStart(2, '0')}`;
}

/** Both dates included; the last 30 days where nothing is said. @param dates `YYYY-MM-DD`, which a schema has checked. */
export function dayRange(
  dates: { readonly start_date?: string | undefined; readonly end_date?: string | undefined },
  nowMs: number,
): DayRange {
  const toDay = dates.end_date === undefined ? dayOf(nowMs) : dayOf(Date.parse(dates.end_date));
  const fromDay = dates.start_date === undefined ? toDay - DEFAULT_DAYS : dayOf(Date.parse(dates.start_date));
  return { fromDay, toDay };
}
