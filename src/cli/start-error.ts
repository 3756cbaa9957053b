/** Why a command can't start, in words for the operator; shown without a stack, exit code 1. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

/** What the operating system said, such as `EACCES: permission denied`, without Node's call and path. */
export function systemReason(error: unknown): string {
  return error instanceof Error ? (error.message.split(/, /, 1)[0] ?? error.message) : String(error);
}
