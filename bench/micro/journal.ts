// What the journal costs: µs per event for making its line, and for writing it, alone and 16 to a write, in place and in
// the thread pool (as on a slow disk). CPU is of the whole process, the pool's threads included.
//   node bin/slipstream.js node -- bench/micro/journal.ts [directory, default the temporary one]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_JOURNAL_SETTINGS } from '../../src/contract/snapshot.ts';
import { JournalSpace, newJournalSpaceCells } from '../../src/sidecar/journal/journal-space.ts';
import { JournalWriter } from '../../src/sidecar/journal/journal-writer.ts';
import { NODE_DISK, type JournalDisk } from '../../src/sidecar/journal/journal-disk.ts';
import { WRITE_BUDGET_MS } from '../../src/sidecar/journal/write-pace.ts';

/** Few enough that other programs seldom come between: a write that waits for the CPU looks like a slow disk. */
const EVENTS = 8_000;
const RUNS = 15;
const MAX_TRIES = 100;
const LINE = `${JSON.stringify({ v: 1, id: '0193a4c5-7a3f-7001-9abc-123456700001', pad: 'x'.repeat(600) })}\n`;
const root = process.argv[2] ?? tmpdir();

interface Cost {
  readonly wallUs: number;
  readonly cpuUs: number;
}

/** The first write is slow, so that the writer takes the pool from then on. */
function slowAtFirst(): JournalDisk {
  let isFirst = true;
  return {
    ...NODE_DISK,
    writeSync: (fd, data) => {
      if (isFirst) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WRITE_BUDGET_MS + 1);
      isFirst = false;
      return NODE_DISK.writeSync(fd, data);
    },
  };
}

/** @returns null if the writer took the disk for what it is not. */
async function measure(perWrite: number, isPooled: boolean): Promise<Cost | null> {
  const directory = mkdtempSync(join(root, 'journal-bench-'));
  const writer = new JournalWriter({
    directory,
    prefix: 'bench',
    settings: DEFAULT_JOURNAL_SETTINGS,
    space: new JournalSpace(newJournalSpaceCells(1), 0),
    ...(isPooled ? { disk: slowAtFirst() } : {}),
  });
  const done = Promise.withResolvers<void>();
  let left = 0;
  const waiter = {
    onJournaled: (): void => {
      left -= 1;
      if (left === 0) batch();
    },
  };
  let written = 0;
  let start = { wallNs: 0n, cpu: process.cpuUsage() };
  const batch = (): void => {
    if (written === 0) start = { wallNs: process.hrtime.bigint(), cpu: process.cpuUsage() };
    if (written >= EVENTS) {
      done.resolve();
      return;
    }
    left = perWrite;
    written += perWrite;
    for (let n = 0; n < perWrite; n += 1) writer.append(LINE, waiter, false);
  };
  // Opens the segment, and meets the slow write.
  writer.append(LINE, { onJournaled: () => setImmediate(batch) }, false);
  await done.promise;
  const wallUs = Number(process.hrtime.bigint() - start.wallNs) / 1000 / EVENTS;
  const { user, system } = process.cpuUsage(start.cpu);
  const isValid = writer.isPooled === isPooled && writer.dropped === 0;
  await new Promise<void>((resolve) => writer.close(resolve));
  rmSync(directory, { recursive: true });
  return isValid ? { wallUs, cpuUs: (user + system) / EVENTS } : null;
}

function median(values: number[]): string {
  return (values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN).toFixed(2).padStart(6);
}

console.log(`${LINE.length} bytes a line, ${EVENTS} lines, median of ${RUNS} runs, in ${root}`);
for (const isPooled of [false, true]) {
  for (const perWrite of [1, 16]) {
    const costs: Cost[] = [];
    for (let tries = 0; costs.length <= RUNS && tries < MAX_TRIES; tries += 1) {
      const cost = await measure(perWrite, isPooled);
      if (cost !== null) costs.push(cost);
    }
    costs.shift(); // warm-up
    const name = `${isPooled ? 'in the pool' : 'in place'}, ${perWrite} a write`.padEnd(26);
    console.log(
      `${name}${median(costs.map(({ wallUs }) => wallUs))} µs  ${median(costs.map(({ cpuUs }) => cpuUs))} µs CPU an event`,
    );
  }
}
