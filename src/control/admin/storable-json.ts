/** Deeper than anyone nests by hand. What walks a value, and databases, go down by recursion. */
const MAX_DEPTH = 64;

export interface JsonFault {
  /** Of the part at fault, as far as its names are good; empty: the whole. */
  readonly path: readonly string[];
  readonly message: string;
}

/**
 * Why a value of JSON can't be kept as it is, or null. PostgreSQL takes no NUL in texts, and UTF-8 has no half of a
 * surrogate pair; what SQLite would make of them is no better.
 */
export function storableFault(value: unknown, path: readonly string[] = []): JsonFault | null {
  if (typeof value === 'string') {
    return isStorable(value) ? null : { path, message: 'has a character that is none: NUL, or half of a pair' };
  }
  if (typeof value !== 'object' || value === null) return null;
  if (path.length >= MAX_DEPTH) return { path: path.slice(0, 1), message: `is nested more than ${MAX_DEPTH} deep` };
  for (const [name, inner] of Object.entries(value)) {
    if (!isStorable(name)) return { path, message: 'has a field whose name is no text' };
    const fault = storableFault(inner, [...path, name]);
    if (fault !== null) return fault;
  }
  return null;
}

function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}
