/** `JSON.parse` of what a provider sent: undefined when it isn't JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The string that `source` is in JSON, else null. */
export function parseText(source: string | null): string | null {
  const value = source === null ? null : parseJson(source);
  return typeof value === 'string' ? value : null;
}
