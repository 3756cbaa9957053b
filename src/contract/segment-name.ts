/** What the name of a journal segment says: `<node UUID>-<epoch>-<worker>.<start>-<sequence>.ndjson`. */
export interface SegmentName {
  readonly name: string;
  /** Node UUID and epoch: one sidecar process. */
  readonly process: string;
  /** Place of the worker in its process, from 0. */
  readonly worker: number;
  /** Which of all workers that the process has started; one that took another's place has a higher one. */
  readonly start: number;
  /** From 1. */
  readonly sequence: number;
}

const PATTERN = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9a-z]+)-(\d+)\.(\d+)-(\d{6,})\.ndjson$/;

/** @returns null for a file that is no segment. */
export function parseSegmentName(name: string): SegmentName | null {
  const found = PATTERN.exec(name);
  if (found === null) return null;
  const [, process = '', worker, start, sequence] = found;
  return { name, process, worker: Number(worker), start: Number(start), sequence: Number(sequence) };
}

/** Node UUID and process epoch: what the names of all segments of a process begin with. */
export function processName(nodeId: string, startedUnixMs: number): string {
  return `${nodeId}-${startedUnixMs.toString(36)}`;
}

/** Unix ms at which the process started, from its name. */
export function processStartedMs(process: string): number {
  return Number.parseInt(process.slice(process.lastIndexOf('-') + 1), 36);
}

/**
 * May a segment still grow? Not if its writer has begun the next one, if its process is gone, or if another worker has
 * taken the writer's place. List the segments and look for living processes before you read the segment, not after.
 */
export function isSegmentFinal(
  segment: SegmentName,
  all: readonly SegmentName[],
  livingProcesses: ReadonlySet<string>,
): boolean {
  return isWriterGone(segment, all, livingProcesses) || all.some((other) => isNextOf(other, segment));
}

/** Requests that this writer has not ended never will be. */
export function isWriterGone(
  segment: SegmentName,
  all: readonly SegmentName[],
  livingProcesses: ReadonlySet<string>,
): boolean {
  if (!livingProcesses.has(segment.process)) return true;
  return all.some((other) => other.process === segment.process && isSuccessor(other, segment));
}

function isSuccessor(other: SegmentName, segment: SegmentName): boolean {
  return other.worker === segment.worker && other.start > segment.start;
}

function isNextOf(other: SegmentName, segment: SegmentName): boolean {
  return other.process === segment.process && other.start === segment.start && other.sequence > segment.sequence;
}
