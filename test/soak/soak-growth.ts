import type { ProcessSample } from './inspector.ts';

const MEGABYTE = 1024 * 1024;
/** Heap and external memory may differ by this much between a quarter of the run and its end. */
const MAX_GROWTH_BYTES = 3 * MEGABYTE;

export interface Sample extends ProcessSample {
  readonly minute: number;
  readonly descriptors: number;
  readonly controlBytes: number;
}

/** From a quarter of the run on: memory within bounds, descriptors and timers as they were. */
export function growth(samples: readonly Sample[]): string[] {
  const [reference, ...later] = samples.slice(Math.ceil(samples.length / 4) - 1);
  if (reference === undefined) return ['no sample'];
  const problems: string[] = [];
  const memory = ({ heapBytes, externalBytes }: Sample): number => heapBytes + externalBytes;
  for (const sample of later) {
    const grown = memory(sample) - memory(reference);
    if (Math.abs(grown) > MAX_GROWTH_BYTES) {
      problems.push(`minute ${sample.minute}: ${(grown / MEGABYTE).toFixed(1)} MB against minute ${reference.minute}`);
    }
    if (sample.descriptors !== reference.descriptors) {
      problems.push(`minute ${sample.minute}: ${sample.descriptors} descriptors, not ${reference.descriptors}`);
    }
    if (textOf(sample.resources) !== textOf(reference.resources)) {
      problems.push(`minute ${sample.minute}: handles ${textOf(sample.resources)}, not ${textOf(reference.resources)}`);
    }
  }
  return problems;
}

export function textOf(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
