import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { threadEnvironment } from './thread-environment.ts';

it('a thread knows the folder of compiled modules, uses it, and knows nothing else', async (t) => {
  const before = process.env['NODE_COMPILE_CACHE'];
  t.after(() => {
    if (before === undefined) delete process.env['NODE_COMPILE_CACHE'];
    else process.env['NODE_COMPILE_CACHE'] = before;
  });
  delete process.env['NODE_COMPILE_CACHE'];
  assert.deepEqual(threadEnvironment(), {});
  const folder = mkdtempSync(join(tmpdir(), 'slipstream-compiled-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  process.env['NODE_COMPILE_CACHE'] = folder;
  const code =
    'const { getCompileCacheDir } = require("node:module");' +
    'require("node:worker_threads").parentPort.postMessage([getCompileCacheDir(), { ...process.env }])';
  const thread = new Worker(code, { eval: true, env: threadEnvironment() });
  const exited = once(thread, 'exit');
  const [[used, env]] = (await once(thread, 'message')) as [[string | undefined, object]];
  await exited;
  assert.deepEqual(env, { NODE_COMPILE_CACHE: folder });
  assert.ok(used?.startsWith(folder), `it uses ${used}`);
});
