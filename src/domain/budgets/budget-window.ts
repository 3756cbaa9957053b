import { parseDuration, type Duration } from '../time/duration.ts';
import { dayOf, firstDayOfMonth, monthOfDay, startOfDay } from './zoned-days.ts';

/** `[startMs, endMs)`, Unix ms. */
export interface BudgetWindow {
  readonly startMs: number;
  /** Infinity: it never ends. */
  readonly endMs: number;
}

/** Of a budget without a duration. */
export const ENDLESS_WINDOW: BudgetWindow = Object.freeze({ startMs: 0, endMs: Infinity });

const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000 } as const;
const DAY_MS = 86_400_000;
const DAYS_PER_WEEK = 7;
/** 1970-01-05. */
const FIRST_MONDAY = 4;
/** LiteLLM takes 30 days for a month of the calendar. */
const DAYS_PER_MONTH = 30;

/** One window per duration and zone: whoever asks next nearly always asks for the same one. */
const lastWindows = new Map<string, BudgetWindow>();
const MAX_REMEMBERED = 1000;

/** `text` is a budget's duration: `30s`, `30m`, `24h`, `7d`, `1w`, `1mo`. */
export function isBudgetDuration(text: string): boolean {
  return parseDuration(text) !== null;
}

/**
 * The window of a budget in which `nowMs` falls, the same for everyone who asks: it depends on the calendar, not on when
 * the budget was made.
 *
 * - below a day: steps from midnight, the last one cut off by the next midnight
 * - days: from midnight; 7 of them and weeks: from Monday; 30 of them and months: from the first
 * - other numbers of days, weeks, months: steps of as many from 1970-01-05 or January 1970
 *
 * @param duration LiteLLM's form; null, or none that can be read: the window never ends.
 * @param timeZone in which days begin.
 */
export function budgetWindow(duration: string | null, nowMs: number, timeZone: string): BudgetWindow {
  if (duration === null) return ENDLESS_WINDOW;
  const name = `${duration} ${timeZone}`;
  const last = lastWindows.get(name);
  if (last !== undefined && last.startMs <= nowMs && nowMs < last.endMs) return last;
  const parsed = parseDuration(duration);
  const window = parsed === null ? ENDLESS_WINDOW : Object.freeze(windowOf(parsed, nowMs, timeZone));
  if (lastWindows.size >= MAX_REMEMBERED) lastWindows.clear();
  lastWindows.set(name, window);
  return window;
}

function windowOf({ amount, unit }: Duration, nowMs: number, timeZone: string): BudgetWindow {
  switch (unit) {
    case 's':
    case 'm':
    case 'h': {
      const lengthMs = amount * UNIT_MS[unit];
      if (lengthMs < DAY_MS) return stepsOfDay(lengthMs, nowMs, timeZone);
      if (lengthMs % DAY_MS === 0) return daysWindow(lengthMs / DAY_MS, nowMs, timeZone);
      const startMs = Math.floor(nowMs / lengthMs) * lengthMs;
      return { startMs, endMs: startMs + lengthMs };
    }
    case 'd':
      return daysWindow(amount, nowMs, timeZone);
    case 'w':
      return daysWindow(amount * DAYS_PER_WEEK, nowMs, timeZone);
    case 'mo':
      return monthsWindow(amount, nowMs, timeZone);
    default:
      return unit satisfies never;
  }
}

function stepsOfDay(lengthMs: number, nowMs: number, timeZone: string): BudgetWindow {
  const day = daysWindow(1, nowMs, timeZone);
  const startMs = day.startMs + Math.floor((nowMs - day.startMs) / lengthMs) * lengthMs;
  return { startMs, endMs: Math.min(startMs + lengthMs, day.endMs) };
}

function daysWindow(days: number, nowMs: number, timeZone: string): BudgetWindow {
  if (days === DAYS_PER_MONTH) return monthsWindow(1, nowMs, timeZone);
  return around(nowMs, timeZone, (day) => {
    const first = Math.floor((day - FIRST_MONDAY) / days) * days + FIRST_MONDAY;
    return [first, first + days];
  });
}

function monthsWindow(months: number, nowMs: number, timeZone: string): BudgetWindow {
  return around(nowMs, timeZone, (day) => {
    const first = Math.floor(monthOfDay(day) / months) * months;
    return [firstDayOfMonth(first), firstDayOfMonth(first + months)];
  });
}

/** The window of days that holds `nowMs`. Where clocks are set back over midnight a moment can bear two dates: look beside. */
function around(
  nowMs: number,
  timeZone: string,
  daysAround: (day: number) => readonly [first: number, next: number],
): BudgetWindow {
  const day = dayOf(nowMs, timeZone);
  let [first, next] = daysAround(day);
  if (nowMs < startOfDay(first, timeZone)) [first, next] = daysAround(first - 1);
  else if (nowMs >= startOfDay(next, timeZone)) [first, next] = daysAround(next);
  return { startMs: startOfDay(first, timeZone), endMs: startOfDay(next, timeZone) };
}
