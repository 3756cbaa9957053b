import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { startMock, type RunningMock } from '../../src/cli/mock/mock-server.ts';
import { nothingInFlight } from '../support/flow-support.ts';
import { MODES, startGateway, type Gateway } from '../support/gateway.ts';
import { ask, eventually } from '../support/raw-client.ts';
import { MASTER_KEY, TEST_KEY } from '../support/sidecar-harness.ts';
import { reply, ScriptedUpstream } from '../support/scripted-upstream.ts';

const PROVIDER_KEY = 'sk-provider-secret-0123456789';

let mock: RunningMock;
/** A provider that refuses. */
let refusing: ScriptedUpstream;
before(async () => {
  mock = await startMock();
  refusing = await ScriptedUpstream.start((request, answer) => {
    const body = `{"error":{"message":"Incorrect API key provided: ${PROVIDER_KEY}"}}`;
    if (request.head.includes('model=unauthorized')) answer.write(reply(401, ['content-type: application/json'], body));
    else if (request.head.includes('model=busy')) {
      answer.write(
        'HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 7\r\n\r\n{"error":"busy"}',
      );
      answer.end();
    } else if (request.head.includes('model=rude')) answer.reset();
  });
});
after(async () => {
  await mock.close();
  refusing.stop();
});

function config(): string {
  const model = (name: string, url: string): string =>
    `  - { model_name: ${name}, litellm_params: { model: openai/${name}, api_base: "${url}/v1", api_key: ${PROVIDER_KEY} } }\n`;
  const refuses = `http://127.0.0.1:${refusing.port}`;
  return (
    `model_list:\n${model('live', mock.url)}${['unauthorized', 'busy', 'rude', 'silent'].map((name) => model(name, refuses)).join('')}` +
    `general_settings: { master_key: ${MASTER_KEY} }\n` +
    `slipstream: { keys: [ { key: ${TEST_KEY} } ], timeouts: { connect: 1, first_byte: 0.5 } }\n`
  );
}

for (const mode of MODES) {
  describe(`realtime, ${mode}`, () => {
    let gateway: Gateway;
    before(async () => {
      gateway = await startGateway({ mode, config: config() });
    });
    after(() => gateway.stop());

    const connect = (
      model: string,
      protocols: readonly string[] = [],
      headers = { authorization: `Bearer ${TEST_KEY}` },
    ) => new WebSocket(`ws://127.0.0.1:${gateway.port}/v1/realtime?model=${model}`, [...protocols], { headers });
    const last = (): ReturnType<Gateway['journal']>[number] => gateway.journal().at(-1)!;

    /** What the refused handshake says. */
    const refusal = async (
      socket: WebSocket,
    ): Promise<{ status: number; text: string; retryAfter: string | undefined }> => {
      socket.on('error', () => undefined);
      const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
      let text = '';
      for await (const chunk of response) text += String(chunk);
      return { status: response.statusCode!, text, retryAfter: response.headers['retry-after'] };
    };

    it('echoes text and binary, small and large, in order', async () => {
      const events = gateway.journal().length;
      const socket = connect('live');
      await once(socket, 'open');
      const messages: Buffer[] = [];
      socket.on('message', (data: Buffer) => messages.push(data));
      const sent = [1, 125, 126, 65_535, 65_536, 3_000_000, 0, 7].map((size, n) => Buffer.alloc(size, 97 + n));
      for (const message of sent) socket.send(message, { binary: message.length % 2 === 0 });
      await eventually(() => messages.length === sent.length, 'all came back', 20_000);
      for (const [n, message] of sent.entries()) assert.ok(message.equals(messages[n]!), `message ${n}`);
      socket.ping('are you there');
      await once(socket, 'pong');
      socket.close(1000, 'thanks');
      const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
      assert.deepEqual([code, reason.toString()], [1000, 'thanks']);
      await eventually(() => gateway.journal().length === events + 1, 'its event');
      const { endpoint, model, upstreamModel, status, aborted, requestBytes, responseBytes } = last();
      assert.deepEqual(
        { endpoint, model, upstreamModel, status, aborted },
        { endpoint: 'realtime', model: 'live', upstreamModel: 'live', status: 101, aborted: null },
      );
      assert.ok(requestBytes > 3_000_000 && responseBytes > 3_000_000);
    });

    it("the provider's key takes the place of the client's, and neither is seen by the other", async () => {
      const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/v1/realtime?model=live&echo=1`, [
        'realtime',
        `openai-insecure-api-key.${TEST_KEY}`,
        'openai-beta.realtime-v1',
      ]);
      const opened = once(socket, 'open');
      const [response] = (await once(socket, 'upgrade')) as [IncomingMessage];
      await opened;
      assert.equal(socket.protocol, 'realtime');
      const seen = JSON.stringify(response.headers);
      assert.ok(!seen.includes(TEST_KEY), "the client's key does not reach the provider");
      const echoed = String(response.headers['x-echo-sec-websocket-protocol']);
      assert.ok(echoed.includes(`openai-insecure-api-key.${PROVIDER_KEY}`) || !echoed.includes('openai-insecure'));
      assert.match(String(response.headers['x-echo-line']), /^GET \/v1\/realtime\?/);
      socket.terminate();
    });

    it('a client that is gone takes its provider with it', async () => {
      await nothingInFlight(gateway.port); // the events before it are written
      const events = gateway.journal().length;
      const socket = connect('live');
      await once(socket, 'open');
      socket.terminate();
      await eventually(() => gateway.journal().length === events + 1, 'its event');
      assert.equal(last().aborted, 'client_gone');
      await nothingInFlight(gateway.port);
    });

    it('a refused handshake is the answer, with its body; one without a length as well', async () => {
      const busy = await refusal(connect('busy'));
      assert.deepEqual(busy, { status: 429, text: '{"error":"busy"}', retryAfter: '7' });
      await eventually(() => last().status === 429, 'its event');
    });

    it("a refusal of the gateway's credential does not quote it", async () => {
      const { status, text } = await refusal(connect('unauthorized'));
      assert.equal(status, 401);
      assert.ok(!text.includes(PROVIDER_KEY), text);
      await eventually(() => last().error === 'upstream_refused_credential', 'its event');
    });

    it('a provider that hangs up, or says nothing, is 502 or 408', async () => {
      assert.equal((await refusal(connect('rude'))).status, 502);
      assert.equal((await refusal(connect('silent'))).status, 408);
      await nothingInFlight(gateway.port);
    });

    it('refused here: key, model, no upgrade', async () => {
      assert.equal((await refusal(connect('live', [], { authorization: 'Bearer sk-wrong' }))).status, 401);
      assert.equal((await refusal(connect('nobody'))).status, 400);
      const plain = await ask(gateway.port, { method: 'GET', path: '/v1/realtime?model=live', key: TEST_KEY });
      assert.equal(plain.status, 426);
      await nothingInFlight(gateway.port);
    });
  });
}
