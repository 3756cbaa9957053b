/** What the choice looks at; deployments satisfy it. */
export interface Weighted {
  readonly weight: number;
  readonly order: number;
}

/**
 * LiteLLM's simple-shuffle: among the candidates of the lowest `order`, one at random by weight. If all weights are
 * zero they count as equal.
 *
 * @param candidates ascending by `order`.
 * @param isOut skips a candidate (already tried, resting, full).
 * @param random in [0, 1).
 * @returns index into `candidates`, or −1 if all are out.
 */
export function chooseWeighted<T extends Weighted>(
  candidates: readonly T[],
  isOut: (candidate: T) => boolean,
  random: number,
): number {
  let order = 0;
  let total = 0;
  let count = 0;
  let last = -1;
  for (let index = 0; index < candidates.length; index += 1) {
    const candidate = candidates[index]!;
    if (count > 0 && candidate.order !== order) break;
    if (isOut(candidate)) continue;
    order = candidate.order;
    total += candidate.weight;
    count += 1;
    last = index;
  }
  if (count <= 1) return last;
  let left = total > 0 ? random * total : random * count;
  for (let index = 0; index <= last; index += 1) {
    const candidate = candidates[index]!;
    if (candidate.order !== order || isOut(candidate)) continue;
    left -= total > 0 ? candidate.weight : 1;
    if (left < 0) return index;
  }
  return last;
}
