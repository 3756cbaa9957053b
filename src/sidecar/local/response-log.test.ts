import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '../../runtime/logger.ts';
import { WRITE_BUDGET_MS } from '../journal/write-pace.ts';
import { ResponseLog } from './response-log.ts';

const realWriteSync = fs.writeSync;
const realWrite = fs.write;
let directory: string;
let warnings: string[];
let writesInPlace: number;
let delayMs: number;

function newLog(): ResponseLog {
  const write = (line: string): number => warnings.push(line);
  return new ResponseLog(directory, createLogger({ level: 'warn', format: 'json', name: 'test', write }));
}

function add(log: ResponseLog, first: number, count: number): void {
  for (let n = first; n < first + count; n += 1) {
    log.append({ responseId: `resp_${n}`, deploymentId: 'd', owner: 'o' });
  }
}

function known(): string[] {
  return newLog()
    .load()
    .map(({ responseId }) => responseId);
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `resp_${n}`);
}

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'response-log-'));
  warnings = [];
  writesInPlace = 0;
  delayMs = 0;
  fs.writeSync = (...args: unknown[]): number => {
    writesInPlace += 1;
    if (delayMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delayMs);
    return (realWriteSync as (...all: unknown[]) => number)(...args);
  };
  const write = (...args: unknown[]): void => {
    setTimeout(() => {
      (realWrite as (...all: unknown[]) => void)(...args);
    }, delayMs);
  };
  fs.write = write as typeof fs.write;
  syncBuiltinESMExports();
});
afterEach(() => {
  fs.writeSync = realWriteSync;
  fs.write = realWrite;
  syncBuiltinESMExports();
  fs.rmSync(directory, { recursive: true, force: true });
});

describe('the log of responses', () => {
  it('knows after a restart what was said, also after a line that a kill has torn', () => {
    const log = newLog();
    add(log, 0, 3);
    assert.deepEqual(known(), numbered(3), 'it is on disk at once');
    log.close();
    fs.appendFileSync(join(directory, 'responses.ndjson'), '["resp_torn"');
    const later = newLog();
    later.load();
    add(later, 3, 2);
    later.close();
    assert.deepEqual(known(), numbered(5));
  });

  it('on a slow disk does not hold up the loop more than once, and keeps the order', async () => {
    const log = newLog();
    delayMs = WRITE_BUDGET_MS + 5;
    add(log, 0, 1);
    assert.equal(writesInPlace, 1);
    const fromMs = performance.now();
    add(log, 1, 500);
    assert.ok(performance.now() - fromMs < WRITE_BUDGET_MS, 'the loop was held up again');
    assert.equal(writesInPlace, 1);
    const deadlineMs = performance.now() + 5_000;
    while (known().length < 501) {
      assert.ok(performance.now() < deadlineMs, `${known().length} of 501`);
      await sleep(5);
    }
    assert.deepEqual(known(), numbered(501));
    log.close();
  });

  it('that is closed with lines waiting writes them', async () => {
    const log = newLog();
    delayMs = WRITE_BUDGET_MS + 5;
    add(log, 0, 10); // one in place, one on its way, eight waiting
    delayMs = 5;
    log.close();
    await sleep(200);
    assert.deepEqual(new Set(known()), new Set(numbered(10)));
    assert.deepEqual(warnings, []);
  });

  it('that can not be written warns, and goes on', () => {
    const log = newLog();
    fs.rmSync(directory, { recursive: true });
    add(log, 0, 1);
    assert.match(warnings.join(''), /not remembered on disk/);
    fs.mkdirSync(directory);
    add(log, 1, 1);
    assert.deepEqual(known(), ['resp_1']);
    log.close();
  });
});
