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
