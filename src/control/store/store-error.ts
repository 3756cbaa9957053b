/**
 * - `unavailable`: the database is away, full, or has not been opened yet. Asking again later can help.
 * - `conflict`: a row with this id or alias exists.
 * - `newer-schema`: a later version of the program has changed the tables.
 * - `failed`: anything else, a fault of the query or of the program.
 */
export type StoreErrorKind = 'unavailable' | 'conflict' | 'newer-schema' | 'failed';

/** The only error that the store throws. Its message has no secret: it is shown to administrators. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly kind: StoreErrorKind;

  constructor(kind: StoreErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

export function isConflict(error: unknown): boolean {
  return error instanceof StoreError && error.kind === 'conflict';
}
