/** A segment can't be read; the database is not at fault. */
export class UsageFileError extends Error {
  override readonly name = 'UsageFileError';
  /** `ENOENT`, … */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** `ENOENT`, … of what `node:fs` throws about a path; null of anything else. */
export function fileErrorCode(error: unknown): string | null {
  if (!(error instanceof Error) || !('syscall' in error) || !('path' in error) || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
