import { closeSync, openSync, readSync } from 'node:fs';
import { spentNano, type UsageEvent } from '../../contract/usage-event.ts';
import { decodeUtf8 } from '../../contract/utf8.ts';

const CHUNK_BYTES = 8 * 1024 * 1024;
const NEWLINE = 0x0a;
const MEMBER = Buffer.from('"budgets":[');

/** Nano-dollars charged to each row. */
export type RowSums = Map<string, bigint>;

/**
 * Adds up what the events of a segment from `position` on were charged to budgets. Lines without budgets are not parsed: a
 * sidecar that starts after weeks without a control plane has gigabytes of them to pass over.
 *
 * @returns the offset behind the last whole line.
 * @throws if the file can't be read.
 */
export function addBudgetEvents(path: string, position: number, sums: RowSums): number {
  const fd = openSync(path, 'r');
  try {
    let at = position;
    for (let size = CHUNK_BYTES; ;) {
      const buffer = Buffer.allocUnsafe(size);
      const length = readSync(fd, buffer, 0, size, at);
      const end = buffer.lastIndexOf(NEWLINE, length - 1) + 1;
      if (length === 0) return at;
      if (end === 0) {
        if (length < size) return at; // the begin of a line that is being written, or was torn
        size *= 2;
        continue;
      }
      addLines(buffer.subarray(0, end), sums);
      at += end;
    }
  } finally {
    closeSync(fd);
  }
}

function addLines(bytes: Buffer, sums: RowSums): void {
  for (let found = bytes.indexOf(MEMBER); found !== -1;) {
    const start = bytes.lastIndexOf(NEWLINE, found) + 1;
    const end = bytes.indexOf(NEWLINE, found);
    addLine(bytes.subarray(start, end), sums);
    found = bytes.indexOf(MEMBER, end);
  }
}

/** A line that is no event is passed over here; ingestion tells of it. */
function addLine(bytes: Buffer, sums: RowSums): void {
  let event: Partial<UsageEvent>;
  try {
    event = JSON.parse(decodeUtf8(bytes)) as Partial<UsageEvent>;
  } catch {
    return;
  }
  const { budgets, attempts, costNano } = event;
  if (!Array.isArray(budgets) || !Array.isArray(attempts) || costNano === undefined) return;
  const spent = spentNano({ costNano, attempts });
  if (spent === null || !Number.isSafeInteger(spent)) return;
  for (const row of budgets as readonly string[]) sums.set(row, (sums.get(row) ?? 0n) + BigInt(spent));
}
