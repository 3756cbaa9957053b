import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { it } from 'node:test';
import { childNamed, niceOf } from '../support/child-processes.ts';
import { startGateway } from '../support/gateway.ts';
import { MASTER_KEY } from '../support/sidecar-harness.ts';

it('the control plane, with every thread of it, gives way to the sidecar', async (t) => {
  const gateway = await startGateway({
    mode: 'sidecar',
    config: `model_list: []\ngeneral_settings: { master_key: ${MASTER_KEY} }\n`,
  });
  t.after(() => {
    gateway.process.kill('SIGKILL');
    rmSync(gateway.directory, { recursive: true, force: true });
  });
  const supervisor = gateway.process.pid!;
  const own = niceOf(process.pid)[0]!;
  assert.deepEqual(niceOf(childNamed(supervisor, 'sidecar')!), [own]);
  assert.deepEqual(niceOf(childNamed(supervisor, 'control')!), [Math.max(own, 10)]);
});
