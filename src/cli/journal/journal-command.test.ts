import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runJournal } from '../../../test/support/journal-files.ts';
import { SAMPLE_EVENT, SAMPLE_OPEN } from '../../../test/support/usage-event-sample.ts';
import { processName } from '../../contract/segment-name.ts';
import type { UsageEvent } from '../../contract/usage-event.ts';
import { takeProcessLock } from '../../runtime/process-lock.ts';
import { UsageError } from '../command-line.ts';
import { StartError } from '../start-error.ts';
import { auditJournal, type JournalReport } from './journal-audit.ts';
import { journalCommand } from './journal-command.ts';

const NODE = '0193a4c5-7a3f-7001-9abc-1234567000ff';
const GONE = processName(NODE, 1_763_800_000_000);
const ALIVE = processName(NODE, 1_763_800_000_001);

function id(n: number): string {
  return `0193a4c5-7a3f-7001-9abc-${n.toString(16).padStart(12, '0')}`;
}

const USAGE = { inputTokens: 10, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };

function event(n: number, rest: Partial<UsageEvent> = {}): string {
  return `${JSON.stringify({ ...SAMPLE_EVENT, user: null, id: id(n), requestBytes: 400, usage: USAGE, ...rest })}\n`;
}

function open(n: number): string {
  return `${JSON.stringify({ ...SAMPLE_OPEN, user: null, open: id(n), requestBytes: 400, streamEvents: 3 })}\n`;
}

/** A data directory with these segments; `ALIVE` is held by this process. */
function dataDirectory(t: TestContext, segments: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'journal-verify-'));
  mkdirSync(join(directory, 'journal'));
  mkdirSync(join(directory, 'writers'));
  const lock = takeProcessLock(join(directory, 'writers', `${ALIVE}.lock`));
  for (const [name, text] of Object.entries(segments)) writeFileSync(join(directory, 'journal', name), text);
  t.after(() => {
    lock?.release();
    rmSync(directory, { recursive: true });
  });
  return directory;
}

describe('slipstream journal verify', () => {
  it('counts what is in a sound journal, and changes nothing', (t) => {
    const torn = event(9).slice(0, 50);
    const segments = {
      [`${GONE}-0.1-000001.ndjson`]: event(1) + open(2) + open(3) + event(2),
      [`${GONE}-0.1-000002.ndjson`]: event(4, { status: 429, error: 'rate_limited' }) + torn,
      [`${ALIVE}-0.1-000001.ndjson`]: `${open(5)}\n\n${event(6, { status: 0, aborted: 'client_gone' })}${torn}`,
      [`${ALIVE}-1.2-000001.ndjson`]: '',
    };
    const directory = dataDirectory(t, segments);
    assert.deepEqual(auditJournal(directory), {
      segments: 4,
      bytes: Object.values(segments).join('').length,
      livingProcesses: 1,
      events: 4,
      completed: 2,
      failed: 1,
      aborted: 1,
      openLines: 3,
      inProgress: 1,
      lost: 1,
      tokens: { input: 4 * 10 + 100, output: 4 * 5 + 3 },
      estimatedTokens: { input: 100, output: 3 },
      tornTails: [{ segment: `${GONE}-0.1-000002.ndjson`, bytes: 50 }],
      unfinishedTails: 1,
      problemCount: 0,
      problems: [],
    });
    for (const [name, text] of Object.entries(segments)) {
      assert.equal(readFileSync(join(directory, 'journal', name), 'utf8'), text);
    }
    const { status, stdout } = runJournal(['verify', '--data-dir', directory]);
    assert.equal(status, 0);
    assert.match(stdout, /events +4 /);
    assert.match(stdout, /torn: .*-000002\.ndjson, 50 bytes dropped/);
    assert.match(stdout, /The journal is sound\./);
  });

  it('finds ids that stand twice, lines that are none, files that do not belong', (t) => {
    const first = `${GONE}-0.1-000001.ndjson`;
    const second = `${GONE}-1.2-000001.ndjson`;
    const directory = dataDirectory(t, {
      [first]: `${event(1)}${event(2)}garbage\n${open(2)}${open(3)}${open(3)}`,
      [second]: event(1) + event(4).replace('"status":200', '"status":"200"'),
      'notes.txt': '',
    });
    const { status, stdout } = runJournal(['verify', '--json', '--data-dir', directory]);
    assert.equal(status, 1);
    const report = JSON.parse(stdout) as JournalReport;
    const at = event(1).length * 2;
    assert.deepEqual(
      report.problems.map(({ segment, offset, problem }) => [segment, offset, problem]),
      [
        ['notes.txt', null, 'not a journal segment'],
        [first, at, 'not JSON'],
        [first, at + 8, `an open line after its event, id ${id(2)}`],
        [first, at + 8 + 2 * open(3).length, `a second open line for id ${id(3)}`],
        [second, 0, `a second event with id ${id(1)}`],
        [second, event(1).length, 'status is not valid'],
      ],
    );
    assert.equal(report.problemCount, 6);
    assert.equal(report.events, 2);
  });

  it('reads lines that are longer than what it reads at once, and many of them', (t) => {
    const tags = JSON.stringify(['x'.repeat(3_000_000)]);
    const long = event(0).replace('"tags":[]', `"tags":${tags}`);
    const many = Array.from({ length: 5000 }, (_, n) => event(n + 1)).join('');
    const report = auditJournal(dataDirectory(t, { [`${GONE}-0.1-000001.ndjson`]: `${event(10_000)}${long}${many}` }));
    assert.deepEqual([report.problemCount, report.events, report.tornTails.length], [0, 5002, 0]);
  });

  it('says what is missing, and what is wrong', (t) => {
    assert.throws(() => journalCommand([]), UsageError);
    assert.throws(() => journalCommand(['erase']), UsageError);
    const directory = dataDirectory(t, { 'notes.txt': '' });
    assert.throws(() => journalCommand(['verify', '--data-dir', join(directory, 'none')]), StartError);
    const { status, stdout } = runJournal(['verify', '--data-dir', directory]);
    assert.equal(status, 1);
    assert.match(stdout, /PROBLEM: notes\.txt: not a journal segment\n1 problem/);
  });
});
