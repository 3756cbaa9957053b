import { closeSync, openSync, readSync } from 'node:fs';
import { readJournalLines } from '../../contract/journal-reader.ts';
import type { OpenEvent } from '../../contract/usage-event.ts';
import type { Breather } from './breather.ts';
import { type UsageRow, usageRow } from './usage-row.ts';

/** What comes next in a segment. */
export interface SegmentChunk {
  readonly rows: readonly UsageRow[];
  /** Requests that had not ended, in the order of their lines. */
  readonly opens: readonly OpenEvent[];
  /** Lines that are no valid event: counted, told of, left out. */
  readonly invalid: readonly { readonly offset: number; readonly problem: string }[];
  readonly invalidCount: number;
  /** Behind the last whole line that is in this chunk. */
  readonly position: number;
  /** No more could be read: in a final segment, nothing will follow. */
  readonly isAtEnd: boolean;
}

const MAX_NAMED = 5;

/**
 * Reads whole lines from `position` on, about `maxBytes` of them; a longer line is read whole.
 *
 * @throws if the file can't be read, `ENOENT` among others.
 */
export function readSegmentChunk(path: string, position: number, maxBytes: number, breather: Breather): SegmentChunk {
  const fd = openSync(path, 'r');
  try {
    for (let wanted = maxBytes; ; wanted *= 2) {
      const buffer = Buffer.allocUnsafe(wanted);
      const length = readFully(fd, buffer, position);
      const isAtEnd = length < wanted;
      const chunk = { ...parse(buffer.subarray(0, length), position, breather), isAtEnd };
      if (chunk.position > position || isAtEnd) return chunk;
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

function parse(bytes: Buffer, position: number, breather: Breather): Omit<SegmentChunk, 'isAtEnd'> {
  const rows: UsageRow[] = [];
  const opens: OpenEvent[] = [];
  const invalid: { offset: number; problem: string }[] = [];
  let invalidCount = 0;
  const used = readJournalLines(bytes, (line, offset) => {
    breather.step();
    switch (line.kind) {
      case 'event':
        rows.push(usageRow(line.event));
        return;
      case 'open':
        opens.push(line.open);
        return;
      case 'empty':
        return;
      case 'invalid':
        invalidCount += 1;
        if (invalid.length < MAX_NAMED) invalid.push({ offset: position + offset, problem: line.problem });
        return;
      default:
        line satisfies never;
    }
  });
  return { rows, opens, invalid, invalidCount, position: position + used };
}
