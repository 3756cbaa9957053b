import { StoreError } from './store-error.ts';

/** Columns, and aliases, whose integers are `bigint`: money. */
const MONEY = /_nano$/;

/** What a driver is given, as it goes to the database: JSON for arrays and objects. */
export function encodeParameter(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  return JSON.stringify(value);
}

/** An integer of the database: `bigint` in a column of money, else a number that is exact. */
export function decodeInteger(column: string, value: bigint | string): bigint | number {
  if (MONEY.test(column)) return BigInt(value);
  const number = Number(value);
  // Of strings: averages and other decimals are numbers as good as any.
  if (Number.isInteger(number) && !Number.isSafeInteger(number)) {
    throw new StoreError('failed', `the number in ${column} is too large to be read exactly: ${value}`);
  }
  return number;
}
