/** A request that no tag speaks for goes to the deployments that have this one, if any has. */
const DEFAULT_TAG = 'default';

/** Tags of one deployment. `patterns` are looked for in `User-Agent: <value>`. */
export interface TaggedDeployment {
  readonly tags: readonly string[];
  readonly patterns: readonly RegExp[];
}

export interface TaggedRequest {
  /** `!x` keeps away from deployments tagged `x`; any other asks for deployments that have it. */
  readonly tags: readonly string[];
  readonly userAgent: string | null;
}

/**
 * LiteLLM's routing by tags, seen from the whole group: which of its members may serve such a request. What is resting at
 * the moment plays no part, so no request changes its tier because another one is down.
 *
 * @param mode `any`: one tag in common is enough; `all`: the deployment has every tag asked for.
 * @returns 1 by place for each that may, or null if none may.
 */
export function deploymentsForTags(
  members: readonly TaggedDeployment[],
  request: TaggedRequest,
  mode: 'any' | 'all',
): Uint8Array | null {
  const wanted = request.tags.filter((tag) => !isExclusion(tag));
  const excluded = request.tags.filter(isExclusion).map((tag) => tag.slice(1));
  const isLeft = (member: TaggedDeployment): boolean => !excluded.some((tag) => member.tags.includes(tag));
  const isDefault = (member: TaggedDeployment): boolean => member.tags.includes(DEFAULT_TAG);
  const hasPatterns = members.some((member) => isLeft(member) && member.patterns.length > 0);
  if (wanted.length > 0 || (request.userAgent !== null && hasPatterns)) {
    const isAsked = (member: TaggedDeployment): boolean => isLeft(member) && matches(member, wanted, request, mode);
    return places(members, isAsked) ?? places(members, (member) => isLeft(member) && isDefault(member));
  }
  // No exclusion opens the way to deployments that an untagged request would not get.
  const isBase = members.some(isDefault) ? isDefault : () => true;
  return places(members, (member) => isBase(member) && isLeft(member));
}

function isExclusion(tag: string): boolean {
  return tag.length > 1 && tag.startsWith('!');
}

function matches(
  { tags, patterns }: TaggedDeployment,
  wanted: readonly string[],
  { userAgent }: TaggedRequest,
  mode: 'any' | 'all',
): boolean {
  if (wanted.length > 0) {
    const has = (tag: string): boolean => tags.includes(tag);
    if (mode === 'any' ? wanted.some(has) : wanted.every(has)) return true;
    // A pattern does not override tags that were asked for in full and are not there.
    if (mode === 'all' && tags.length > 0) return false;
  }
  return userAgent !== null && patterns.some((pattern) => pattern.test(`User-Agent: ${userAgent}`));
}

function places(members: readonly TaggedDeployment[], isIn: (member: TaggedDeployment) => boolean): Uint8Array | null {
  const marks = Uint8Array.from(members, (member) => (isIn(member) ? 1 : 0));
  return marks.includes(1) ? marks : null;
}
