import { totalmem } from 'node:os';
import type { ChildName } from './child-messages.ts';

const MIB = 1024 * 1024;

/**
 * Share of the container's memory that V8's old generation may grow to. Left to itself, V8 takes up to half of the memory
 * for each process, as if it were alone, and the kernel kills when the sum is too much; a heap at its limit costs one
 * process, with a line in the log. What is not given away here is for request bodies and sockets, which lie outside the
 * heap, for the young generations, and for some 60 MB per process that are there before anything happens.
 */
const SHARES: Readonly<Record<ChildName, number>> = { control: 0.2, sidecar: 0.25 };
/** Below that, neither can work. */
const MIN_MIB = 64;

/** Of the cgroup this process is in, bytes; null when the machine's memory is the only limit. */
export function memoryLimitBytes(): number | null {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : null;
}

/** `--max-old-space-size=…` for one of the processes; null where there is no limit, or the operator gave options for it. */
export function heapOption(name: ChildName, limitBytes: number | null, givenOptions: string): string | null {
  // Node takes underscores for dashes.
  if (limitBytes === null || /--max[-_]old[-_]space[-_]size|--max[-_]heap[-_]size/.test(givenOptions)) return null;
  const mib = Math.max(MIN_MIB, Math.floor((limitBytes * SHARES[name]) / MIB));
  return `--max-old-space-size=${mib}`;
}
