import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DATA_FILES } from '../../contract/persisted-state.ts';
import { isSegmentFinal, isWriterGone, parseSegmentName, type SegmentName } from '../../contract/segment-name.ts';
import { heldLocks } from '../../runtime/process-lock.ts';

/** Segments of one writer, in the order in which they were written. */
export interface WriterSegments {
  readonly writer: string;
  readonly segments: readonly SegmentName[];
}

const WRITER = /^(?<process>.+)-(?<worker>\d+)\.(?<start>\d+)$/;

/** The journal as it was at one moment: what may still grow was judged before anything is read. */
export class JournalListing {
  readonly directory: string;
  readonly segments: readonly SegmentName[];
  readonly #living: ReadonlySet<string>;
  readonly #nodeId: string | null;

  constructor(dataDirectory: string) {
    this.directory = join(dataDirectory, DATA_FILES.journal);
    const names = existsSync(this.directory) ? readdirSync(this.directory) : [];
    this.segments = names.map((name) => parseSegmentName(name)).filter((segment) => segment !== null);
    this.#living = heldLocks(join(dataDirectory, DATA_FILES.writers));
    this.#nodeId = readNodeId(dataDirectory);
  }

  byWriter(): WriterSegments[] {
    const groups = Map.groupBy(this.segments, writerOf);
    return Array.from(groups, ([writer, segments]) => ({
      writer,
      segments: segments.toSorted((a, b) => a.sequence - b.sequence),
    }));
  }

  isFinal(segment: SegmentName): boolean {
    return isSegmentFinal(segment, this.segments, this.#living);
  }

  /** A writer of this node that will never end what it left open. Those of other nodes are for their own gateway. */
  isGone(writer: string): boolean {
    const found = WRITER.exec(writer)?.groups;
    if (found === undefined) return false;
    const process = found['process'] ?? '';
    const isOurs = this.#nodeId !== null && process.startsWith(`${this.#nodeId}-`);
    if (!isOurs && !this.segments.some((segment) => segment.process === process)) return false;
    const last: SegmentName = {
      name: '',
      process,
      worker: Number(found['worker']),
      start: Number(found['start']),
      sequence: Number.MAX_SAFE_INTEGER,
    };
    return isWriterGone(last, this.segments, this.#living);
  }

  pathOf(segment: SegmentName): string {
    return join(this.directory, segment.name);
  }

  /** 0 of a file that is gone. */
  sizeOf(segment: SegmentName): number {
    return statSync(this.pathOf(segment), { throwIfNoEntry: false })?.size ?? 0;
  }

  delete(segment: SegmentName): void {
    rmSync(this.pathOf(segment), { force: true });
  }
}

/** What all segments of a writer have in common. */
function writerOf({ process, worker, start }: SegmentName): string {
  return `${process}-${worker}.${start}`;
}

function readNodeId(dataDirectory: string): string | null {
  const path = join(dataDirectory, DATA_FILES.nodeId);
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : null;
}
