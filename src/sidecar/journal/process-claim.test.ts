import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { processName } from '../../contract/segment-name.ts';
import { createLogger, type Logger } from '../../runtime/logger.ts';
import { heldLocks, takeProcessLock } from '../../runtime/process-lock.ts';
import { claimProcessName } from './process-claim.ts';

const NODE = '0193a4c5-7a3f-7001-9abc-1234567000ff';

function folder(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'process-claim-'));
  t.after(() => {
    rmSync(root, { recursive: true });
  });
  return join(root, 'writers');
}

function loggerTo(lines: string[]): Logger {
  return createLogger({ level: 'info', format: 'json', name: 'test', write: (line) => lines.push(line) });
}

describe('the name under which a process writes', () => {
  it('is its own, even of processes that start in the same millisecond, and held until it is given back', (t) => {
    const directory = folder(t);
    const claims = Array.from({ length: 20 }, () => claimProcessName(directory, NODE, loggerTo([])));
    assert.equal(new Set(claims.map(({ name }) => name)).size, 20);
    assert.deepEqual(heldLocks(directory), new Set(claims.map(({ name }) => name)));
    for (const claim of claims) claim.release();
    assert.deepEqual(readdirSync(directory), []);
  });

  it('what dead processes left is removed, if it is old and nobody holds it', (t) => {
    const directory = folder(t);
    mkdirSync(directory);
    const now = Date.now();
    const [old, held, young] = [now - 3_600_000, now - 3_600_001, now - 10].map((ms) => processName(NODE, ms));
    writeFileSync(join(directory, `${old}.lock`), '');
    writeFileSync(join(directory, `${young}.lock`), '');
    const lock = takeProcessLock(join(directory, `${held}.lock`));
    const claim = claimProcessName(directory, NODE, loggerTo([]));
    assert.deepEqual(
      readdirSync(directory).toSorted(),
      [`${held}.lock`, `${young}.lock`, `${claim.name}.lock`].toSorted(),
    );
    assert.deepEqual(heldLocks(directory), new Set([held, claim.name]));
    lock?.release();
    claim.release();
  });

  it('that can not be locked is no reason not to serve', (t) => {
    const directory = folder(t);
    writeFileSync(directory, 'a file where the directory should be');
    const lines: string[] = [];
    const claim = claimProcessName(directory, NODE, loggerTo(lines));
    assert.ok(claim.name.startsWith(NODE));
    assert.match(lines.join(''), /can not be marked as a writer/);
    claim.release();
  });
});
