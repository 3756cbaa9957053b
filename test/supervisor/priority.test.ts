import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { it } from 'node:test';
import { childNamed, niceOf } from '../support/child-processes.ts';
import { startGateway } from '../support/gateway.ts';
import { MASTER_KEY } from '../support/sidecar-harness.ts';

it('the thread that brings usage into the database gives way to requests; nothing that they wait for does', async (t) => {
  const gateway = await startGateway({
    mode: 'sidecar',
    config: `model_list: []\ngeneral_settings: { master_key: ${MASTER_KEY} }\n`,
  });
  t.after(() => {
    gateway.process.kill('SIGKILL');
    rmSync(gateway.directory, { recursive: true, force: true });
  });
  const supervisor = gateway.process.pid!;
  const own = niceOf(process.pid).get('node-MainThread')!;
  const sidecar = niceOf(childNamed(supervisor, 'sidecar')!);
  const control = niceOf(childNamed(supervisor, 'control')!);
  assert.deepEqual([...new Set(sidecar.values())], [own]);
  assert.equal(control.get('node-MainThread'), own, 'it answers look-ups of keys');
  assert.equal(control.get('sqlite-reader'), own);
  assert.equal(control.get('sqlite-writer'), Math.max(own, 10));
});
