/*
 * Calendar days of a time zone, as numbers: 0 is 1970-01-01, so that 4 (a Monday) and every seventh from it begin a week.
 */
const DAY_MS = 86_400_000;
/** No zone is further from UTC than 14 hours; what is left is for days on which clocks are changed. */
const SEARCH_MS = 16 * 3_600_000;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Whether the platform knows the zone: `Europe/Berlin`, `UTC`, `+02:00`. */
export function isTimeZone(name: string): boolean {
  try {
    return formatOf(name) !== null;
  } catch {
    return false;
  }
}

/** The day on which `unixMs` falls in `timeZone`. */
export function dayOf(unixMs: number, timeZone: string): number {
  if (timeZone === 'UTC') return Math.floor(unixMs / DAY_MS);
  let year = 0;
  let month = 0;
  let day = 0;
  for (const { type, value } of formatOf(timeZone).formatToParts(unixMs)) {
    if (type === 'year') year = Number(value);
    else if (type === 'month') month = Number(value);
    else if (type === 'day') day = Number(value);
  }
  return Date.UTC(year, month - 1, day) / DAY_MS;
}

/** Its first moment, Unix ms: midnight, or what comes instead of it where clocks are set forward at midnight. */
export function startOfDay(day: number, timeZone: string): number {
  if (timeZone === 'UTC') return day * DAY_MS;
  let before = day * DAY_MS - SEARCH_MS;
  let within = day * DAY_MS + SEARCH_MS;
  while (within - before > 1) {
    const middle = Math.floor((before + within) / 2);
    if (dayOf(middle, timeZone) >= day) within = middle;
    else before = middle;
  }
  return within;
}

/** Months since 1970-01. */
export function monthOfDay(day: number): number {
  const date = new Date(day * DAY_MS);
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
}

export function firstDayOfMonth(month: number): number {
  return Date.UTC(1970, month, 1) / DAY_MS;
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
    });
    formats.set(timeZone, format);
  }
  return format;
}
