/**
 * Matches `name` against `pattern`, in which each `*` stands for any text, also none.
 *
 * @returns what the first `*` matched ('' if the pattern has none), or null if it does not match.
 */
export function matchModelPattern(pattern: string, name: string): string | null {
  const star = pattern.indexOf('*');
  if (star === -1) return pattern === name ? '' : null;
  const before = pattern.slice(0, star);
  if (!name.startsWith(before)) return null;
  const after = pattern.slice(star + 1);
  if (!after.includes('*')) {
    if (name.length < before.length + after.length || !name.endsWith(after)) return null;
    return name.slice(star, name.length - after.length);
  }
  // Rare: several stars. Try each split of the rest, shortest first.
  for (let end = star; end <= name.length; end += 1) {
    if (matchModelPattern(after, name.slice(end)) !== null) return name.slice(star, end);
  }
  return null;
}

/** Puts what the group's `*` matched into the deployment's model name. */
export function fillModelPattern(upstreamModel: string, matched: string): string {
  const star = upstreamModel.indexOf('*');
  if (star === -1) return upstreamModel;
  return upstreamModel.slice(0, star) + matched + upstreamModel.slice(star + 1);
}
