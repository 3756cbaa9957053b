/** The value below which a share of the sorted values lies, interpolated. NaN when there are none. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** A figure with its bootstrap 95 % interval. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

const RESAMPLES = 2000;

/**
 * What `statistic` says of all rounds, with the interval that it stays in for 95 % of resamples of the rounds. A round is
 * drawn whole, so what its arms have in common stays together.
 *
 * @param statistic gets the indices of the rounds to use.
 */
export function bootstrap(
  rounds: number,
  statistic: (indices: readonly number[]) => number,
  random: () => number = Math.random,
): Estimate {
  const all = Array.from({ length: rounds }, (_, i) => i);
  const resampled: number[] = [];
  for (let i = 0; i < RESAMPLES; i++) resampled.push(statistic(all.map(() => Math.floor(random() * rounds))));
  const finite = resampled.filter((value) => Number.isFinite(value));
  return { value: statistic(all), low: quantile(finite, 0.025), high: quantile(finite, 0.975) };
}

/** A copy in random order (Fisher and Yates). */
export function shuffled<T>(items: readonly T[], random: () => number = Math.random): T[] {
  const copy = [...items];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [copy[i], copy[j]] = [copy[j] as T, copy[i] as T];
  }
  return copy;
}
