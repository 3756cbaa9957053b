import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { CONFIG_ENV, makeDirectory, SlipstreamProcess, writeConfig } from './slipstream-process.ts';

/** Fewer than a plane has modules; more than the launcher and the supervisor have. */
const MANY = 200;

it('what was compiled is on disk before anything is served, and stays when both planes are killed', async (t) => {
  const directory = makeDirectory(t);
  const data = join(directory, 'data');
  const config = writeConfig(directory, 'http://127.0.0.1:9');
  const slipstream = new SlipstreamProcess(
    t,
    ['start', '--config', config, '--host', '127.0.0.1', '--port', '0', '--data-dir', data],
    { env: { ...CONFIG_ENV, NODE_COMPILE_CACHE: undefined } },
  );
  await slipstream.ready();
  const pids = slipstream.childPids();
  slipstream.child.kill('SIGKILL');
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await slipstream.exited;

  const kept = globSync('*/*', { cwd: join(data, 'compile-cache') }).filter((name) => !/\.\w{6}$/.test(name));
  assert.ok(kept.length > MANY, `${kept.length} modules are kept`);
});
