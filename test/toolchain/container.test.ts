// deploy/Dockerfile without Docker: its build steps in a folder, its start command as PID 1 of a new PID namespace,
// as the image's user, its health check.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  cloneHead,
  findFreePort,
  makeTemporaryFolder,
  startCommand,
  stopGateway,
  userEnvironment,
} from './clean-checkout.ts';
import { IMAGE_FOLDER, readDockerfile, runBuildSteps } from './dockerfile-steps.ts';

const IMAGE_USER = 10001;
const AS_PID_1 = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child', '--'];
const AS_IMAGE_USER = ['setpriv', `--reuid=${IMAGE_USER}`, `--regid=${IMAGE_USER}`, '--clear-groups', '--no-new-privs'];
const HEALTHY_WITHIN_MS = 20_000;
const MASTER_KEY = 'sk-container-test-0123456789abcdef';
const ANSWER = { id: 'x', object: 'chat.completion', created: 1, model: 'up', choices: [{ index: 0 }] };

const isPermitted = spawnSync('unshare', [...AS_PID_1.slice(1), ...AS_IMAGE_USER, 'true']).status === 0;
const name = isPermitted ? 'image' : 'image (skipped: this user may not make a PID namespace)';

void describe(name, { skip: !isPermitted }, () => {
  const folder = makeTemporaryFolder('image');
  const image = join(folder.path, 'image');
  const dataDir = join(folder.path, 'data');
  const configFile = join(folder.path, 'config.yaml');
  const checkout = cloneHead(folder);
  const dockerfile = readDockerfile(join(checkout, 'deploy/Dockerfile'));
  const here = (part: string): string => part.replaceAll(IMAGE_FOLDER, image);

  const provider = createServer((request, response) => {
    request.resume();
    request.on('end', () =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(ANSWER)),
    );
  });

  before(async () => {
    chmodSync(folder.path, 0o755);
    runBuildSteps(dockerfile, checkout, image);
    provider.listen(0, '127.0.0.1');
    await once(provider, 'listening');
    mkdirSync(dataDir, { mode: 0o700 });
    chownSync(dataDir, IMAGE_USER, IMAGE_USER);
    writeFileSync(configFile, configFor((provider.address() as AddressInfo).port));
  });
  after(() => {
    provider.closeAllConnections();
    provider.close();
    folder[Symbol.dispose]();
  });

  test('runs as PID 1, is healthy, answers, ends with 0 at SIGTERM', async () => {
    const port = await findFreePort();
    const env = userEnvironment({
      NODE_ENV: 'production',
      SLIPSTREAM_DATA_DIR: dataDir,
      LITELLM_MASTER_KEY: MASTER_KEY,
      PORT: String(port),
    });
    const command = [...dockerfile.entrypoint, ...dockerfile.command].map(here);
    const withConfig = command.map((part) => part.replace('/etc/slipstream/config.yaml', configFile));
    const isHealthy = (): boolean => {
      const [program = '', ...args] = dockerfile.healthCheck.map(here);
      return spawnSync(program, args, { env, cwd: folder.path }).status === 0;
    };

    assert.equal(isHealthy(), false, 'healthy before it was started');
    const running = await startCommand([...AS_PID_1, ...AS_IMAGE_USER, ...withConfig], {
      cwd: dataDir,
      env,
      port,
      isUp: isHealthy,
      withinMs: HEALTHY_WITHIN_MS,
    });

    const pid = childrenOf(Number(running.child.pid))[0] ?? 0;
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    assert.match(status, /^NSpid:\t\d+\t1$/m);
    assert.match(status, new RegExp(`^Uid:\\t${IMAGE_USER}\\t`, 'm'));

    const answer = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${MASTER_KEY}` },
      body: JSON.stringify({ model: 'test', messages: [{ role: 'user', content: 'hello' }] }),
    });
    assert.equal(answer.status, 200, await answer.clone().text());
    assert.deepEqual(((await answer.json()) as typeof ANSWER).choices, ANSWER.choices);

    await stopGateway(running, pid);
    assert.equal(isHealthy(), false, 'healthy after it was stopped');
  });
});

function configFor(providerPort: number): string {
  return [
    'model_list:',
    '  - model_name: test',
    '    litellm_params:',
    '      model: openai/up',
    `      api_base: http://127.0.0.1:${providerPort}/v1`,
    '      api_key: sk-provider',
    'general_settings:',
    '  master_key: os.environ/LITELLM_MASTER_KEY',
    '',
  ].join('\n');
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
}
