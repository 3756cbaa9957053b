import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { chatBytes, startFlow } from '../support/flow-support.ts';
import { RawClient, type RawReply } from '../support/raw-client.ts';
import { jsonReply } from '../support/scripted-upstream.ts';
import { ROUTING, type SidecarHarness } from '../support/sidecar-harness.ts';
import { ThreeUpstreams } from '../support/three-upstreams.ts';

let upstreams: ThreeUpstreams;
let gateway: SidecarHarness;
let client: RawClient;

before(async () => {
  upstreams = await ThreeUpstreams.start();
  gateway = await startFlow(
    [
      ...upstreams.deployments('tiers', [{ tags: ['free'] }, { tags: ['paid', 'eu'] }, { tags: ['default'] }]),
      ...upstreams.deployments('agents', [{ tagPatterns: ['^User-Agent: claude-code/'] }, { tags: ['default'] }]),
      ...upstreams.deployments('strict', [{ tags: ['paid'] }, { tags: ['paid'] }, { tags: ['free'] }]),
      ...upstreams.deployments('plain'),
    ],
    {},
    {
      settings: { routing: { ...ROUTING, tagFiltering: 'any' } },
      fallbacks: { agents: ['strict', 'plain', 'tiers'] },
    },
  );
  client = new RawClient(gateway.port);
});
beforeEach(() => {
  upstreams.reset();
});
after(async () => {
  client.close();
  upstreams.stop();
  await gateway.stop();
});

function ask(model: string, more = '', headers: readonly string[] = []): Promise<RawReply> {
  return client.send(chatBytes(model, more, { headers })).reply();
}

/** Where 20 requests go, each place once. */
async function places(model: string, more = '', headers: readonly string[] = []): Promise<string[]> {
  const found = new Set<string>();
  for (let n = 0; n < 20; n += 1) {
    const reply = await ask(model, more, headers);
    assert.equal(reply.status, 200, reply.text);
    found.add(reply.header('x-slipstream-model-id') ?? '');
  }
  return [...found].sort();
}

describe('routing by tags', () => {
  it('follows the tags of the body, of its metadata and of the header', async () => {
    assert.deepEqual(await places('tiers', ',"tags":["free"]'), ['tiers-0']);
    assert.deepEqual(await places('tiers', ',"metadata":{"tags":["paid"]}'), ['tiers-1']);
    assert.deepEqual(await places('tiers', ',"litellm_metadata":{"tags":["eu"]}'), ['tiers-1']);
    assert.deepEqual(await places('tiers', '', ['x-litellm-tags: free, eu']), ['tiers-0', 'tiers-1']);
  });

  it('sends what has no tag, or one that nobody has, to the deployments tagged default', async () => {
    assert.deepEqual(await places('tiers'), ['tiers-2']);
    assert.deepEqual(await places('tiers', ',"tags":["nobody"]'), ['tiers-2']);
    assert.deepEqual(await places('plain'), ['plain-0', 'plain-1', 'plain-2']);
  });

  it('keeps away from what is excluded', async () => {
    assert.deepEqual(await places('strict', ',"tags":["!paid"]'), ['strict-2']);
  });

  it('finds clients by their user agent', async () => {
    assert.deepEqual(await places('agents', '', ['user-agent: claude-code/2.1']), ['agents-0']);
    assert.deepEqual(await places('agents', '', ['user-agent: curl/8']), ['agents-1']);
    assert.deepEqual(await places('agents'), ['agents-1']);
  });

  it('is a 401 in LiteLLM’s words where no deployment fits', async () => {
    const reply = await ask('strict', ',"tags":["eu"],"disable_fallbacks":true');
    assert.equal(reply.status, 401);
    assert.equal(reply.header('x-slipstream-error'), 'tags_not_served');
    const { error } = JSON.parse(reply.text) as { error: Record<string, string> };
    assert.match(
      error['message']!,
      /^Not allowed to access model due to tags configuration\. Passed model=strict and tags=\['eu'\]/,
    );
    assert.deepEqual(upstreams.counts, [0, 0, 0]);
  });

  it('holds for retries: no request changes its tier because its own is down', async () => {
    upstreams.all[0]!.script = (_request, reply) => reply.write(jsonReply('{}', 500));
    const reply = await ask('tiers', ',"tags":["free"],"num_retries":2');
    assert.equal(reply.status, 500);
    assert.deepEqual(upstreams.counts, [3, 0, 0]);
  });

  it('passes over fallbacks that may not serve the tags', async () => {
    upstreams.all[1]!.script = (_request, reply) => reply.write(jsonReply('{}', 500));
    const reply = await ask('agents', ',"tags":["nobody"],"num_retries":0');
    // strict has no such tag and no default, plain no tags at all.
    assert.deepEqual([reply.status, reply.header('x-slipstream-model-id')], [200, 'tiers-2']);
  });
});
