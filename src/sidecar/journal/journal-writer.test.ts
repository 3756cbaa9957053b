import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { eventually } from '../../../test/support/raw-client.ts';
import { DEFAULT_JOURNAL_SETTINGS, type JournalSettings } from '../../contract/snapshot.ts';
import { JournalSpace, newJournalSpaceCells } from './journal-space.ts';
import { JournalWriter } from './journal-writer.ts';

interface Journal {
  readonly writer: JournalWriter;
  readonly directory: string;
  /** Appends lines that hold their number, from 0 on; each answers whether it was stored, and what was on disk by then. */
  append(count: number, isAlone?: boolean): void;
  readonly stored: boolean[];
  files(): string[];
  /** Numbers of the lines in the segments, read as an ingester reads them: no newline, no line. */
  read(): number[];
}

function newJournal(t: TestContext, settings: Partial<JournalSettings> = {}, given: string | null = null): Journal {
  const directory = given ?? mkdtempSync(join(tmpdir(), 'journal-'));
  const writer = new JournalWriter({
    directory,
    prefix: 'p',
    settings: { ...DEFAULT_JOURNAL_SETTINGS, ...settings },
    space: new JournalSpace(newJournalSpaceCells(1), 0),
    now: () => 0, // the disk is never slow, whatever else this machine does
  });
  t.after(() => {
    writer.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const stored: boolean[] = [];
  const files = (): string[] => readdirSync(directory).toSorted();
  const read = (): number[] =>
    files().flatMap((name) =>
      readFileSync(join(directory, name), 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => (JSON.parse(line) as { n: number }).n),
    );
  let next = 0;
  const append = (count: number, isAlone = false): void => {
    for (let left = count; left > 0; left -= 1) {
      const n = next;
      next += 1;
      const onJournaled = (isStored: boolean): void => {
        stored[n] = isStored;
        assert.equal(read().includes(n), isStored, `line ${n} is on disk before it is said to be`);
      };
      writer.append(`${JSON.stringify({ n, pad: 'x'.repeat(80) })}\n`, { onJournaled }, isAlone);
    }
  };
  return { writer, directory, append, stored, files, read };
}

/** Largest size of a file that this process may write; null = any. The signal that comes with it is ignored by Node. */
function limitFileSize(bytes: number | null): boolean {
  const limit = `--fsize=${bytes === null ? 'unlimited' : bytes}:`;
  return spawnSync('prlimit', ['--pid', String(process.pid), limit]).status === 0;
}

/** What waits is on disk, or dropped: at once, or by the thread pool where the machine was so busy that a write took long. */
async function written(writer: JournalWriter): Promise<void> {
  writer.flush();
  await eventually(() => writer.queuedChars === 0, 'all is written');
}

/** A namespace of its own: nothing stays mounted. */
const CAN_MOUNT =
  spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0
    ? false
    : 'needs mount(8) of a tmpfs';

const CAN_LIMIT = limitFileSize(null) ? false : 'needs prlimit(1)';

describe('journal', () => {
  it('lines of one turn share one write, and waiters hear of it after it', async (t) => {
    const journal = newJournal(t);
    journal.append(3);
    assert.deepEqual(journal.stored, []);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(journal.stored, [true, true, true]);
    assert.deepEqual(journal.read(), [0, 1, 2]);
    assert.equal(journal.writer.lines, 3);
  });

  it('a segment that is full is followed by the next, and no line is split between two', (t) => {
    const journal = newJournal(t, { maxSegmentBytes: 250 });
    for (let n = 0; n < 10; n += 1) {
      journal.append(1);
      journal.writer.flush();
    }
    assert.equal(journal.files().length, 4); // of three lines each: full is at 250 bytes, a line is about 100
    assert.deepEqual(journal.read(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (const name of journal.files()) assert.match(name, /^p-\d{6}\.ndjson$/);
    journal.writer.configure(DEFAULT_JOURNAL_SETTINGS);
    journal.append(20);
    journal.writer.flush();
    assert.equal(journal.files().length, 4, 'another size counts from now on');
  });

  it('fsync neither blocks nor fails when its segment is closed meanwhile', async (t) => {
    const journal = newJournal(t, { maxSegmentBytes: 1, fsyncIntervalMs: 0 });
    for (let n = 0; n < 20; n += 1) {
      journal.append(1);
      journal.writer.flush();
      journal.writer.tick(n);
    }
    // A write during an fsync is made beside the loop.
    for (let waits = 0; journal.stored.length < 20 && waits < 2000; waits += 1) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    assert.equal(journal.writer.lastError, null);
    assert.equal(journal.read().length, 20);
  });

  describe('on a disk that is full', { skip: CAN_LIMIT }, () => {
    it('a short write goes on in a new segment; nothing is lost, nothing is twice', (t) => {
      const journal = newJournal(t);
      journal.append(8);
      limitFileSize(1000); // in the middle of a line
      try {
        journal.writer.flush();
        journal.append(9);
        journal.writer.flush();
      } finally {
        limitFileSize(null);
      }
      journal.append(30);
      journal.writer.flush();
      assert.ok(journal.files().length > 1);
      assert.equal(journal.writer.dropped, 0);
      assert.deepEqual(
        journal.read(),
        Array.from({ length: 47 }, (_, n) => n),
      );
    });

    it('what fits in no segment is dropped and counted line by line', (t) => {
      const journal = newJournal(t);
      limitFileSize(250);
      try {
        journal.append(10);
        journal.writer.flush();
      } finally {
        limitFileSize(null);
      }
      const kept = journal.stored.filter(Boolean).length;
      assert.deepEqual(
        journal.read(),
        Array.from({ length: kept }, (_, n) => n),
      );
      assert.ok(kept > 0 && kept < 10);
      assert.deepEqual([journal.writer.lines, journal.writer.dropped], [kept, 10 - kept]);
    });

    it('nothing fits: all is dropped and counted, no file is made for each try, and it goes on when there is room', async (t) => {
      const journal = newJournal(t);
      journal.append(2);
      await written(journal.writer);
      limitFileSize(0);
      try {
        for (let n = 0; n < 50; n += 1) {
          journal.append(2);
          await written(journal.writer);
        }
      } finally {
        limitFileSize(null);
      }
      assert.equal(journal.writer.dropped, 100);
      assert.match(journal.writer.lastError ?? '', /EFBIG/);
      assert.ok(journal.files().length <= 2, `${journal.files().length} files`);
      journal.append(2);
      await written(journal.writer);
      assert.deepEqual(journal.read(), [0, 1, 102, 103]);
      assert.equal(journal.writer.lines, 4);
    });
  });

  describe('on a file system without room', { skip: CAN_MOUNT }, () => {
    it('ENOSPC: what got whole is kept, the rest dropped and counted; it goes on when there is room', async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'journal-disk-'));
      assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', folder]).status, 0);
      t.after(() => {
        spawnSync('umount', ['-l', folder]); // a segment may still be open
        rmSync(folder, { recursive: true });
      });
      const journal = newJournal(t, {}, join(folder, 'journal'));
      writeFileSync(join(folder, 'ballast'), Buffer.alloc(8192));
      for (let n = 0; n < 40; n += 1) {
        journal.append(5);
        await written(journal.writer);
      }
      assert.match(journal.writer.lastError ?? '', /ENOSPC|short write/);
      const { dropped } = journal.writer;
      assert.ok(dropped > 0 && dropped < 200, `${dropped} dropped`);
      rmSync(join(folder, 'ballast'));
      journal.append(5);
      await written(journal.writer);
      assert.equal(journal.writer.dropped, dropped);
      const said = [...journal.stored.keys()].filter((n) => journal.stored[n]);
      assert.deepEqual(journal.read(), said);
      assert.equal(journal.writer.lines, said.length);
    });
  });

  it('a line that is alone is written at once, one behind others in its turn', async (t) => {
    const journal = newJournal(t);
    journal.append(1, true);
    assert.deepEqual(journal.read(), [0]);
    assert.deepEqual(journal.stored, [true]);
    journal.append(1);
    journal.append(1, true);
    assert.deepEqual(journal.read(), [0]);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(journal.read(), [0, 1, 2]);
    assert.deepEqual(journal.stored, [true, true, true]);
  });

  it('a directory that is gone is an error that is counted, and does not stop the gateway', (t) => {
    const journal = newJournal(t, { maxSegmentBytes: 1 });
    journal.append(1);
    journal.writer.flush();
    rmSync(journal.directory, { recursive: true });
    let stored: boolean | null = null;
    journal.writer.append('{}\n', { onJournaled: (isStored) => (stored = isStored) }, false);
    journal.writer.flush();
    assert.equal(stored, false);
    assert.match(journal.writer.lastError ?? '', /ENOENT/);
  });
});
