import type { JsonObjectScanner } from '../../base/json-object-scanner.ts';
import { requestField } from './request-fields.ts';
import type { BodySlice } from './read-request-fields.ts';

const FIELDS: readonly number[] = ['max_tokens', 'max_completion_tokens', 'max_output_tokens'].map(requestField);

/** No provider generates more: a larger number is the client's mistake, for its provider to refuse. */
const MAX_TOKENS = 2 ** 31 - 1;

/** The most output tokens that a scanned body asks for, by whatever name; 0 if it says nothing or nonsense. */
export function readMaxTokens(scanner: JsonObjectScanner, slice: BodySlice): number {
  let most = 0;
  for (const row of FIELDS) {
    if (!scanner.found(row)) continue;
    // Number, not JSON.parse: what is no number becomes NaN, and this must not throw.
    const value = Math.ceil(Number(slice(scanner.valueStart(row), scanner.valueEnd(row))));
    if (value > most) most = value;
  }
  return Math.min(most, MAX_TOKENS);
}
