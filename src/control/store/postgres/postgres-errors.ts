import { StoreError } from '../store-error.ts';

/** Classes and codes that say the server, not the query, is at fault: appendix A of PostgreSQL's manual. */
const UNAVAILABLE = /^(?:08|28|53|57P|58|3D000|25006|25P03)/;
const UNIQUE_VIOLATION = '23505';
/** Of the socket. */
const NETWORK = /^(?:E[A-Z]+|ERR_(?:SSL|TLS|SOCKET)\w*|CERT_\w+|DEPTH_ZERO\w+|SELF_SIGNED\w+|UNABLE_TO\w+)$/;
/** pg has no codes for these. */
const BROKEN_CONNECTION = /timeout|terminated|Connection (?:ended|closed)|not queryable|SSL|pool/i;

export function toStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const message = error instanceof Error ? messageOf(error) : 'unknown';
  const code = codeOf(error);
  if (isUniqueViolation(error)) return new StoreError('conflict', message, { cause: error });
  const isAway = isConnectionFault(error) || UNAVAILABLE.test(code);
  return new StoreError(isAway ? 'unavailable' : 'failed', `PostgreSQL: ${message}`, { cause: error });
}

/** A row with this key is there already. */
export function isUniqueViolation(error: unknown): boolean {
  return codeOf(error) === UNIQUE_VIOLATION;
}

/** The connection is of no use any more. */
export function isConnectionFault(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== '') return NETWORK.test(code);
  return error instanceof Error && BROKEN_CONNECTION.test(error.message);
}

/** A name with several addresses fails with all their errors in one. */
function messageOf(error: Error): string {
  const [first]: unknown[] = error instanceof AggregateError ? error.errors : [];
  return error.message === '' && first instanceof Error ? first.message : error.message;
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}
