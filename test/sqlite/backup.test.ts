import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openStore } from '../../src/control/store/open-store.ts';

const LAUNCHER = join(import.meta.dirname, '../../bin/slipstream.js');
const ACTOR = { changedBy: 'master key', nowMs: 1 };
const hashOf = (index: number): string => index.toString(16).padStart(64, '0');

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'slipstream-backup-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function backUp(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [LAUNCHER, 'backup', ...args], { encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

test('a backup made while the store is written to is whole, and a gateway goes on from it', async (t) => {
  const [source, target] = [directory(t), directory(t)];
  const copy = join(target, 'copy.db');
  const store = await openStore({ dataDirectory: source, databaseUrl: null });
  const first = await store.keys.create({ hash: hashOf(1), spend_nano: 2n ** 60n, tags: ['a'] }, ACTOR);
  // Another process makes it, at some moment of these.
  const making = spawn(process.execPath, [LAUNCHER, 'backup', copy, '--data-dir', source], { stdio: 'ignore' });
  const ended = once(making, 'exit');
  let made = 1;
  for (; making.exitCode === null; made += 1) await store.keys.create({ hash: hashOf(made + 1) }, ACTOR);
  assert.deepEqual(await ended, [0, null]);
  await store.close();
  assert.ok(made > 2);
  assert.equal(statSync(copy).mode & 0o777, 0o600);

  // As docs/store.md says: the file in its place, none beside it.
  copyFileSync(copy, join(target, 'slipstream.db'));
  const restored = await openStore({ dataDirectory: target, databaseUrl: null });
  t.after(() => restored.close());
  assert.deepEqual(await restored.keys.find(hashOf(1)), first);
  const count = await restored.keys.count();
  assert.equal(await restored.changes.lastSequence(), count); // each key with its change, none torn
  await restored.keys.create({ hash: hashOf(999) }, ACTOR);
  assert.equal(await restored.changes.lastSequence(), count + 1);
});

test('a backup that cannot be made leaves no file and says why', async (t) => {
  const source = directory(t);
  const copy = join(source, 'copy.db');
  assert.match(backUp(copy, '--data-dir', source).output, /there is no .*slipstream\.db; name the data directory/);
  writeFileSync(join(source, 'slipstream.db'), 'no database '.repeat(1000));
  const damaged = backUp(copy, '--data-dir', source);
  assert.equal(damaged.status, 1);
  assert.match(damaged.output, /the backup of .*slipstream\.db failed: file is not a database/);
  assert.equal(existsSync(copy), false);
  writeFileSync(copy, 'mine');
  assert.match(backUp(copy, '--data-dir', source).output, /cannot write .*copy\.db: EEXIST/);
  assert.equal(backUp().status, 2);
});
