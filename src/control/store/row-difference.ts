interface Difference {
  readonly before: Record<string, unknown>;
  readonly after: Record<string, unknown>;
}

/** Of the columns that were to change, those that did, for the audit log. */
export function rowDifference(before: object, after: object, changes: object): Difference {
  const difference: Difference = { before: {}, after: {} };
  for (const name of Object.keys(changes)) {
    const [old, now] = [Reflect.get(before, name), Reflect.get(after, name)] as [unknown, unknown];
    if (isEqual(old, now)) continue;
    difference.before[name] = old;
    difference.after[name] = now;
  }
  return difference;
}

function isEqual(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b;
  return JSON.stringify(a) === JSON.stringify(b);
}
