import { type Expression, type SqlBool, sql } from 'kysely';

export interface PageRequest<Sort extends string> {
  /** From 1. */
  readonly page: number;
  /** Rows of a page. */
  readonly size: number;
  readonly sortBy?: Sort;
  readonly descending?: boolean;
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  /** Of all pages. */
  readonly total: number;
}

/** Of a filter: it matters. */
export function isGiven<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}

/** `column` has `part` in it, without regard to case (SQLite: of ASCII letters). */
export function contains(column: string, part: string): Expression<SqlBool> {
  const pattern = `%${part.toLowerCase().replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
  return sql<SqlBool>`lower(${sql.ref(column)}) like ${pattern} escape ${sql.lit('\\')}`;
}
