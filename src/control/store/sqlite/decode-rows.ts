import { decodeInteger } from '../value-codec.ts';
import type { SqliteColumn, SqliteResult } from './sqlite-messages.ts';

/** Rows as objects, with the types that `Database` promises. */
export function decodeRows({ columns, rows }: SqliteResult): Record<string, unknown>[] {
  return rows.map((values) => {
    const row: Record<string, unknown> = {};
    for (const [index, column] of columns.entries()) row[column.name] = decode(values[index], column);
    return row;
  });
}

function decode(value: unknown, { name, type }: SqliteColumn): unknown {
  if (typeof value === 'bigint') return type === 'boolean' ? value !== 0n : decodeInteger(name, value);
  if (typeof value === 'string' && type === 'json_text') return JSON.parse(value);
  return value;
}
