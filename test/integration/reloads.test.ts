import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { startMock, type RunningMock } from '../../src/cli/mock/mock-server.ts';
import { parseSegmentName } from '../../src/contract/segment-name.ts';
import { chatBytes } from '../support/flow-support.ts';
import { startGateway } from '../support/gateway.ts';
import { RawClient } from '../support/raw-client.ts';
import { MASTER_KEY, TEST_KEY } from '../support/sidecar-harness.ts';

const RELOADS = 3;
const CLIENTS = 8;

let mock: RunningMock;
before(async () => {
  mock = await startMock();
});
after(() => mock.close());

function config(): string {
  // The mock sends back what it got: the header that the configuration adds, too.
  const params = `model: "openai/mock?echo=1", api_base: "${mock.url}/v1", api_key: sk-provider, extra_headers: { x-config-version: "0" }`;
  return (
    `model_list:\n  - { model_name: m, litellm_params: { ${params} } }\n` +
    `general_settings: { master_key: ${MASTER_KEY} }\nslipstream: { keys: [ { key: ${TEST_KEY} } ] }\n`
  );
}

/** The configuration version that a request on this connection was served by. */
async function versionSeen(client: RawClient): Promise<number> {
  const reply = await client.send(chatBytes('m', ',"messages":[]')).reply();
  assert.equal(reply.status, 200, reply.text);
  return Number(reply.header('x-echo-x-config-version'));
}

describe('reloads under load', { timeout: 60_000 }, () => {
  it('each change is seen by every thread, in order, and no request fails; the file may be a link', async (t) => {
    const gateway = await startGateway({ mode: 'sidecar', config: config(), args: ['--threads', '2'] });
    t.after(() => gateway.process.kill('SIGKILL'));
    // From the first change on the file is a link to one in another directory, whose changes nothing reports here.
    const elsewhere = join(gateway.directory, 'elsewhere');
    const target = join(elsewhere, 'config.yaml');
    mkdirSync(elsewhere);
    const change = (version: number): void => {
      const text = readFileSync(gateway.configPath, 'utf8').replace(/version: "\d+"/, `version: "${version}"`);
      writeFileSync(`${target}.new`, text);
      renameSync(`${target}.new`, target);
      if (version > 1) return;
      symlinkSync(target, `${gateway.configPath}.new`);
      renameSync(`${gateway.configPath}.new`, gateway.configPath);
    };
    const clients = Array.from({ length: CLIENTS }, () => new RawClient(gateway.port));
    const seen = clients.map(() => [0]);
    let wanted = 0;
    const isSeenByAll = (): boolean => seen.every((versions) => versions.at(-1) === wanted);
    for (wanted = 0; wanted <= RELOADS; wanted += 1) {
      if (wanted > 0) change(wanted);
      const from = performance.now();
      do {
        assert.ok(performance.now() - from < 20_000, `${JSON.stringify(seen)}: a change is not seen`);
        const versions = await Promise.all(clients.map(versionSeen));
        for (const [index, version] of versions.entries())
          if (seen[index]!.at(-1) !== version) seen[index]!.push(version);
      } while (!isSeenByAll());
    }
    assert.deepEqual(
      seen,
      clients.map(() => [0, 1, 2, 3]),
    );
    const names = readdirSync(join(gateway.dataDirectory, 'journal'));
    const workers = new Set(names.map((name) => parseSegmentName(name)?.worker));
    assert.ok(workers.has(0) && workers.has(1), 'both threads served');
    for (const client of clients) client.close();
    assert.equal(await gateway.stop(), 0);
  });
});
