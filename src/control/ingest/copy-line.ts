import { USAGE_COLUMN_NAMES, type UsageRow } from './usage-row.ts';

/** What means something else in PostgreSQL's text form of `copy`. */
const SPECIAL = /[\\\t\n\r]/;
const SPECIALS = /[\\\t\n\r]/g;
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** A row as a line of `copy`, its columns in the order of `USAGE_COLUMN_NAMES`. */
export function copyLine(row: UsageRow): string {
  let line = '';
  for (let place = 0; place < USAGE_COLUMN_NAMES.length; place += 1) {
    if (place > 0) line += '\t';
    const value = row[USAGE_COLUMN_NAMES[place]!];
    if (value === null) line += String.raw`\N`;
    else line += typeof value === 'string' ? escaped(value) : String(value);
  }
  return `${line}\n`;
}

function escaped(value: string): string {
  return SPECIAL.test(value) ? value.replaceAll(SPECIALS, (special) => ESCAPES[special]!) : value;
}
