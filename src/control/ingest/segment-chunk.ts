import { closeSync, openSync, readSync } from 'node:fs';
import { readJournalLine } from '../../contract/journal-reader.ts';
import type { OpenEvent } from '../../contract/usage-event.ts';
import type { Breather } from './breather.ts';
import { type UsageRow, usageRow } from './usage-row.ts';

const NEWLINE = 0x0a;

/** What comes next in a segment: whole lines. */
export interface SegmentChunk {
  readonly bytes: Buffer;
  /** Of the first of them in the segment, and behind the last. */
  readonly start: number;
  readonly end: number;
  /** No more could be read: in a final segment, nothing will follow. */
  readonly isAtEnd: boolean;
}

/**
 * Reads whole lines from `start` on, about `maxBytes` of them; a longer line is read whole.
 *
 * @throws if the file can't be read, `ENOENT` among others.
 */
export function readSegmentChunk(path: string, start: number, maxBytes: number): SegmentChunk {
  const fd = openSync(path, 'r');
  try {
    for (let wanted = maxBytes; ; wanted *= 2) {
      const buffer = Buffer.allocUnsafe(wanted);
      const length = readFully(fd, buffer, start);
      const isAtEnd = length < wanted;
      const used = buffer.subarray(0, length).lastIndexOf(NEWLINE) + 1;
      if (used > 0 || isAtEnd) return { bytes: buffer.subarray(0, used), start, end: start + used, isAtEnd };
    }
  } finally {
    closeSync(fd);
  }
}

function readFully(fd: number, buffer: Buffer, position: number): number {
  let length = 0;
  while (length < buffer.length) {
    const read = readSync(fd, buffer, length, buffer.length - length, position + length);
    if (read === 0) break;
    length += read;
  }
  return length;
}

const MAX_NAMED = 5;

/** The lines of a chunk, taken apart one by one as they are asked for: no more than one of them is in memory. */
export class ChunkLines {
  /** Requests that had not ended, in the order of their lines. */
  readonly opens: OpenEvent[] = [];
  /** Of events, in the order of their lines. */
  readonly ids: string[] = [];
  /** Lines that are no valid event: counted, told of, left out. */
  readonly invalid: { readonly offset: number; readonly problem: string }[] = [];
  invalidCount = 0;
  readonly #chunk: SegmentChunk;
  readonly #breather: Breather;

  constructor(chunk: SegmentChunk, breather: Breather) {
    this.#chunk = chunk;
    this.#breather = breather;
  }

  /** The events; what else there is has been noted when the last of them has been taken. */
  *rows(): Generator<UsageRow, void> {
    const { bytes, start } = this.#chunk;
    for (let at = 0, end = 0; at < bytes.length; at = end + 1) {
      end = bytes.indexOf(NEWLINE, at);
      this.#breather.step();
      const line = readJournalLine(bytes.subarray(at, end));
      if (line.kind === 'event') {
        this.ids.push(line.event.id);
        yield usageRow(line.event);
      } else if (line.kind === 'open') {
        this.opens.push(line.open);
      } else if (line.kind === 'invalid') {
        this.invalidCount += 1;
        if (this.invalid.length < MAX_NAMED) this.invalid.push({ offset: start + at, problem: line.problem });
      }
    }
  }
}
