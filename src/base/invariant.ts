/** Thrown when the program contradicts itself: always our fault, never the client's or a provider's. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/**
 * States what must be true here. Stays on in production, so keep the condition cheap and the message constant.
 *
 * @throws {InvariantError} when `condition` is false.
 */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
