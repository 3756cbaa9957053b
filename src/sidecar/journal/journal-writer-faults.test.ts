import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ScriptedDisk } from '../../../test/support/scripted-disk.ts';
import { DEFAULT_JOURNAL_SETTINGS, type JournalSettings } from '../../contract/snapshot.ts';
import { JournalSpace, newJournalSpaceCells, setBytesOnDisk } from './journal-space.ts';
import { JournalWriter, MAX_QUEUED_CHARS, MAX_QUEUED_LINES } from './journal-writer.ts';
import { WRITE_BUDGET_MS } from './write-pace.ts';

/** A journal on a scripted disk. Its lines are numbered from 0 on; each answer is checked against the files. */
class Journal {
  readonly disk = new ScriptedDisk();
  readonly cells = newJournalSpaceCells(1);
  readonly directory: string;
  readonly writer: JournalWriter;
  /** By number of the line; absent while it waits. */
  readonly stored: boolean[] = [];
  readonly answered: number[] = [];
  #next = 0;

  /** @param now stands still for a disk that is never slow, whatever else this machine does. */
  constructor(t: TestContext, settings: Partial<JournalSettings> = {}, now: () => number = () => performance.now()) {
    this.directory = mkdtempSync(join(tmpdir(), 'journal-'));
    this.writer = new JournalWriter({
      directory: this.directory,
      prefix: 'p',
      settings: { ...DEFAULT_JOURNAL_SETTINGS, ...settings },
      space: new JournalSpace(this.cells, 0),
      disk: this.disk,
      now,
    });
    t.after(() => {
      rmSync(this.directory, { recursive: true, force: true });
    });
  }

  append(count: number, padChars = 80): void {
    for (let left = count; left > 0; left -= 1) {
      const n = this.#next;
      this.#next += 1;
      const onJournaled = (isStored: boolean): void => {
        assert.equal(this.stored[n], undefined, `line ${n} is answered once`);
        this.stored[n] = isStored;
        this.answered.push(n);
      };
      this.writer.append(`${JSON.stringify({ n, pad: 'x'.repeat(padChars) })}\n`, { onJournaled }, false);
    }
  }

  /** All lines appended so far have been answered. */
  async settled(): Promise<void> {
    const deadlineMs = performance.now() + 5_000;
    while (this.answered.length < this.#next) {
      assert.ok(performance.now() < deadlineMs, `${this.answered.length} of ${this.#next} lines answered`);
      await sleep(1);
    }
  }

  /** From now on the disk is slow, and the writer has noticed. */
  async makeSlow(delayMs: number): Promise<void> {
    this.disk.delayMs = { write: WRITE_BUDGET_MS + 5 };
    this.append(1);
    await this.settled();
    assert.equal(this.writer.isPooled, true);
    this.disk.delayMs = { write: delayMs };
    this.disk.calls.length = 0;
  }

  files(): string[] {
    return readdirSync(this.directory).toSorted();
  }

  read(): number[] {
    return this.files().flatMap((name) => {
      const lines = readFileSync(join(this.directory, name), 'utf8').split('\n').slice(0, -1);
      return lines.filter((line) => line !== '').map((line) => (JSON.parse(line) as { n: number }).n);
    });
  }

  /** Stored lines are on disk, once each and in order, the others are not; answers came in order. */
  check(): void {
    const said = [...this.stored.keys()].filter((n) => this.stored[n]);
    assert.deepEqual(this.read(), said);
    assert.deepEqual(
      this.answered,
      this.answered.toSorted((a, b) => a - b),
    );
    assert.deepEqual([this.writer.lines, this.writer.dropped], [said.length, this.stored.length - said.length]);
  }
}

async function until(isTrue: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + 5_000;
  while (!isTrue()) {
    assert.ok(performance.now() < deadlineMs, `never came true: ${what}`);
    await sleep(1);
  }
}

describe('a slow disk', () => {
  it('holds up the loop for one write; from then on lines wait, and the loop does not', async (t) => {
    const journal = new Journal(t);
    journal.disk.delayMs = { write: 60 };
    let longestMs = 0;
    let lastMs = performance.now();
    const timer = setInterval(() => {
      const nowMs = performance.now();
      longestMs = Math.max(longestMs, nowMs - lastMs);
      lastMs = nowMs;
      journal.append(1);
    }, 2);
    await until(() => journal.disk.count('write', true) >= 5, 'writes are made in the pool');
    clearInterval(timer);
    await journal.settled();
    assert.equal(journal.disk.count('write', false), 1, 'one write was made in place');
    const blockedMs = journal.disk.calls.reduce((sum, call) => sum + call.blockedMs, 0);
    assert.ok(blockedMs < 300, `the loop stood still for ${blockedMs} ms`);
    assert.equal(journal.writer.dropped, 0);
    journal.check();
  });

  it('many writes that are not quite slow are noticed as well', async (t) => {
    const journal = new Journal(t);
    journal.disk.delayMs = { write: 8 };
    for (let n = 0; n < 10; n += 1) {
      journal.append(1);
      journal.writer.flush();
    }
    await journal.settled();
    assert.equal(journal.writer.isPooled, true);
    assert.ok(journal.disk.count('write', false) <= 4, `${journal.disk.count('write', false)} in place`);
    journal.check();
  });

  it('one write is under way at a time; those that come meanwhile share the next, and a full segment ends there too', async (t) => {
    const journal = new Journal(t, { maxSegmentBytes: 5_000 });
    await journal.makeSlow(15);
    const fromMs = performance.now();
    for (let n = 0; n < 60; n += 1) {
      journal.append(2);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await journal.settled();
    const mostWrites = (performance.now() - fromMs) / 15 + 2;
    assert.equal(journal.disk.count('write', false), 0);
    assert.equal(journal.disk.count('open', false), 0, 'opening may block too');
    assert.ok(journal.disk.count('write', true) <= mostWrites, `${journal.disk.count('write', true)} writes`);
    journal.append(1);
    await journal.settled();
    assert.ok(journal.files().length >= 2);
    journal.check();
  });

  it('that does not keep up: new requests are refused from a bound on, those under way keep their answers', async (t) => {
    const journal = new Journal(t);
    await journal.makeSlow(50);
    const lineChars = 100_000;
    const before = process.memoryUsage().arrayBuffers;
    for (let n = 0; n < (MAX_QUEUED_CHARS / lineChars) * 2 && !journal.writer.isRefusing; n += 1) {
      journal.append(1, lineChars);
    }
    assert.equal(journal.writer.isRefusing, true);
    assert.ok(journal.writer.queuedChars <= MAX_QUEUED_CHARS + 2 * lineChars);
    await journal.settled();
    journal.writer.tick(performance.now());
    assert.equal(journal.writer.isRefusing, false);
    assert.ok(process.memoryUsage().arrayBuffers - before < 4 * MAX_QUEUED_CHARS);
    journal.check();
  });

  it('that does not keep up with many short lines: refused by their number', async (t) => {
    const journal = new Journal(t);
    await journal.makeSlow(50);
    journal.append(1);
    journal.writer.flush();
    journal.append(MAX_QUEUED_LINES, 0);
    assert.equal(journal.writer.isRefusing, false);
    journal.append(1);
    assert.equal(journal.writer.isRefusing, true);
    await journal.settled();
    journal.writer.tick(performance.now());
    assert.equal(journal.writer.isRefusing, false);
    journal.check();
  });

  it('closing waits for what is queued, and forces it to the disk', async (t) => {
    const journal = new Journal(t);
    await journal.makeSlow(20);
    journal.append(2);
    journal.writer.flush();
    journal.append(3);
    await new Promise<void>((resolve) => journal.writer.close(resolve));
    assert.equal(journal.stored.length, 6);
    assert.equal(journal.disk.count('sync', true), 1);
    journal.check();
    await until(() => journal.disk.openFiles === 0, 'all are closed');
  });

  it('closing a journal that holds nothing is over at once', async (t) => {
    const journal = new Journal(t);
    await new Promise<void>((resolve) => journal.writer.close(resolve));
    assert.deepEqual(journal.files(), []);
  });
});

describe('an fsync', () => {
  it('that is running sends writes to the pool: in place they would wait for it', async (t) => {
    const journal = new Journal(t, { fsyncIntervalMs: 0 }, () => 0);
    journal.append(1);
    journal.writer.flush();
    journal.disk.delayMs = { sync: 40 };
    journal.writer.tick(performance.now());
    journal.append(1);
    await journal.settled();
    assert.equal(journal.disk.count('write', true), 1);
    assert.equal(journal.writer.isPooled, false, 'the disk is not slow for that');
    const deadlineMs = performance.now() + 5_000;
    while (journal.disk.count('write', false) < 2) {
      assert.ok(performance.now() < deadlineMs, 'writes are made in place again');
      journal.append(1);
      await sleep(2);
    }
    await journal.settled();
    journal.check();
  });

  it('is made of a segment that ended since the last one', async (t) => {
    const journal = new Journal(t, { fsyncIntervalMs: 60_000, maxSegmentBytes: 50 });
    for (let n = 0; n < 5; n += 1) {
      journal.append(1);
      await journal.settled();
      await sleep(2);
    }
    await until(() => journal.disk.openFiles === 1, 'those that ended are closed');
    assert.equal(journal.disk.count('sync', true), 4);
  });

  it('that fails is counted, and nothing more is written to that segment', async (t) => {
    const journal = new Journal(t, { fsyncIntervalMs: 0 });
    journal.append(1);
    await journal.settled();
    journal.disk.failure = { sync: 'EIO' };
    journal.writer.tick(performance.now());
    await until(() => journal.writer.syncFailures === 1, 'it is counted');
    assert.match(journal.writer.lastError ?? '', /EIO/);
    journal.disk.failure = {};
    journal.append(1);
    await journal.settled();
    assert.equal(journal.files().length, 2);
    journal.check();
  });
});

for (const place of ['in place', 'in the pool'] as const) {
  describe(`a disk that refuses, ${place}`, () => {
    const start = async (t: TestContext, settings: Partial<JournalSettings> = {}): Promise<Journal> => {
      const journal = new Journal(t, settings);
      if (place === 'in the pool') await journal.makeSlow(1);
      journal.append(2);
      await journal.settled();
      return journal;
    };

    for (const code of ['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO', 'EROFS', 'EMFILE', 'ENOENT', 'EACCES']) {
      for (const operation of ['write', 'open'] as const) {
        it(`${code} at ${operation}: lines are dropped and counted, and it goes on by itself`, async (t) => {
          const journal = await start(t, operation === 'open' ? { maxSegmentBytes: 1 } : {});
          journal.disk.failure = { [operation]: code };
          for (let n = 0; n < 5; n += 1) {
            journal.append(2);
            await journal.settled();
          }
          assert.equal(journal.writer.dropped, 10);
          assert.equal(journal.writer.isFailing, true);
          assert.match(journal.writer.lastError ?? '', new RegExp(code));
          if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code) && operation === 'write') {
            assert.ok(journal.files().length <= 2, 'no file for each try');
          }
          journal.disk.failure = {};
          journal.append(2);
          await journal.settled();
          assert.equal(journal.writer.isFailing, false);
          assert.equal(journal.writer.dropped, 10);
          journal.check();
        });
      }
    }

    it('a short write, then another: what got whole counts, no line is torn or twice', async (t) => {
      const journal = await start(t);
      for (const maxWrite of [1, 100, 150, 250]) {
        journal.disk.maxWrite = maxWrite;
        journal.append(5);
        await journal.settled();
        journal.disk.maxWrite = Infinity;
        journal.append(1);
        await journal.settled();
      }
      assert.ok(journal.writer.dropped > 0);
      journal.check();
    });

    it('without traffic it is found out that there is room again', async (t) => {
      const journal = await start(t, { onFull: 'refuse' });
      journal.disk.failure = { write: 'ENOSPC' };
      journal.append(1);
      await journal.settled();
      journal.writer.tick(performance.now());
      assert.equal(journal.writer.isRefusing, true);
      const probe = async (): Promise<void> => {
        journal.writer.tick(performance.now() + 2_000);
        await until(() => journal.writer.waitedMs(performance.now()) === 0, 'the probe is over');
        journal.writer.tick(performance.now());
      };
      await probe();
      assert.equal(journal.writer.isRefusing, true);
      assert.equal(journal.writer.dropped, 1, 'a probe is no event');
      journal.disk.failure = {};
      await probe();
      assert.equal(journal.writer.isRefusing, false);
      assert.equal(journal.writer.isFailing, false);
      journal.append(1);
      await journal.settled();
      journal.check();
    });
  });
}

describe('max_bytes', () => {
  it('drop: beyond it lines are dropped and counted; when segments are gone they are written again', async (t) => {
    const journal = new Journal(t, { maxBytes: 500 });
    journal.append(10); // a thousand bytes; the limit is looked at on each tick
    await journal.settled();
    journal.writer.tick(0);
    assert.equal(journal.writer.isFull, true);
    assert.equal(journal.writer.isRefusing, false);
    journal.append(3);
    await journal.settled();
    assert.deepEqual([journal.writer.lines, journal.writer.dropped], [10, 3]);
    assert.equal(journal.files().length, 1, 'nothing was deleted to make room');
    setBytesOnDisk(journal.cells, 0, journal.writer.bytes);
    journal.writer.tick(0);
    journal.append(1);
    await journal.settled();
    journal.check();
  });

  it('refuse: new requests are refused, and the lines of those under way still written', async (t) => {
    const journal = new Journal(t, { maxBytes: 500, onFull: 'refuse' });
    journal.append(10);
    await journal.settled();
    journal.writer.tick(0);
    assert.equal(journal.writer.isRefusing, true);
    journal.append(3);
    await journal.settled();
    assert.equal(journal.writer.dropped, 0);
    journal.writer.configure({ ...DEFAULT_JOURNAL_SETTINGS, maxBytes: null });
    assert.equal(journal.writer.isRefusing, false);
    journal.check();
  });
});
