import assert from 'node:assert/strict';
import { it } from 'node:test';
import { startFlow, withFlow } from '../support/flow-support.ts';
import { ask, type RawReply } from '../support/raw-client.ts';
import { jsonReply } from '../support/scripted-upstream.ts';
import { deployment, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';

function withModels(body: (target: (path: string, model: string) => Promise<string>) => Promise<void>): Promise<void> {
  return withFlow(
    (_request, reply) => reply.write(jsonReply('{"id":"resp_1","model":"up"}')),
    (upstream) =>
      startFlow([
        deployment('plain', upstream.port),
        deployment('azure', upstream.port, { id: 'azure', query: 'api-version=2026-01-01' }),
        deployment('claude', upstream.port, { family: 'anthropic', provider: 'anthropic' }),
      ]),
    (gateway: SidecarHarness, upstream) =>
      body(async (path, model) => {
        const reply: RawReply = await ask(gateway.port, { path, key: TEST_KEY, body: `{"model":"${model}"}` });
        assert.equal(reply.status, 200, reply.text);
        return upstream.requests.at(-1)!.lines[0]!.split(' ')[1]!;
      }),
  );
}

it("the client's query goes to the provider, but for its key and what the deployment sets", async () => {
  await withModels(async (target) => {
    const chat = '/v1/chat/completions';
    assert.equal(await target(chat, 'plain'), chat);
    assert.equal(await target('/v1/messages?beta=true', 'claude'), '/v1/messages?beta=true');
    assert.equal(await target(`${chat}?a=%20b&key=sk-secret&c`, 'plain'), `${chat}?a=%20b&c`);
    assert.equal(await target(`${chat}?k%65y=sk-secret`, 'plain'), chat);
    assert.equal(await target(chat, 'azure'), `${chat}?api-version=2026-01-01`);
    assert.equal(
      await target(`${chat}?API-Version=1999&beta=1&api%2Dversion=1998`, 'azure'),
      `${chat}?beta=1&api-version=2026-01-01`,
    );
  });
});

it('that of a response by its id too', async () => {
  await withFlow(
    (request, reply) => reply.write(jsonReply(request.lines[0]!.startsWith('POST') ? '{"id":"resp_1"}' : '{}')),
    (upstream) => startFlow([deployment('azure', upstream.port, { query: 'api-version=2026-01-01' })]),
    async (gateway, upstream) => {
      const make = { path: '/v1/responses', key: TEST_KEY, body: '{"model":"azure"}' };
      assert.equal((await ask(gateway.port, make)).status, 200);
      const path = '/v1/responses/resp_1?include=x&key=sk-secret&api-version=1';
      assert.equal((await ask(gateway.port, { method: 'GET', path, key: TEST_KEY })).status, 200);
      const target = '/v1/responses/resp_1?include=x&api-version=2026-01-01';
      assert.equal(upstream.requests.at(-1)!.lines[0], `GET ${target} HTTP/1.1`);
    },
  );
});
