import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { chatBytes, chatClient } from '../support/flow-support.ts';
import { ask, eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream } from '../support/scripted-upstream.ts';
import {
  deployment,
  keyRecord,
  snapshotOf,
  startSidecar,
  TEST_KEY,
  type SidecarHarness,
} from '../support/sidecar-harness.ts';

let upstream: ScriptedUpstream;
let gateway: SidecarHarness;

before(async () => {
  upstream = await ScriptedUpstream.start((request, answer) => {
    if (request.body.includes('"wait"')) return;
    answer.write(jsonReply('{}', request.body.includes('"bad"') ? 400 : 200));
  });
  gateway = await startSidecar({
    snapshot: snapshotOf([deployment('gpt', upstream.port)]),
    keys: [keyRecord(TEST_KEY), keyRecord('sk-blocked', { blocked: true })],
    complete: false,
    // Look-ups are never answered.
  });
});
after(async () => {
  upstream.stop();
  await gateway.stop();
});

let looks = 0;
/** Every term of the sum, at one moment; the look at it is a request too. */
async function terms(): Promise<Record<string, number>> {
  looks += 1;
  const { text } = await ask(gateway.port, { method: 'GET', path: '/metrics', key: TEST_KEY });
  const names = [
    'requests_received_total',
    'journal_lines_total',
    'journal_dropped_total',
    'refused_before_authentication_total',
    'abandoned_before_authentication_total',
    'unrecorded_requests_total',
    'in_flight_requests',
  ];
  const value = (name: string): number => Number(new RegExp(`^slipstream_${name} (\\d+)$`, 'm').exec(text)?.[1]);
  return Object.fromEntries(names.map((name) => [name, value(name)]));
}

it('every request is in exactly one of the counters', async () => {
  const served = 20;
  const errors = 7;
  const local = 5;
  const clients = Array.from({ length: 4 }, () => new RawClient(gateway.port));
  for (let n = 0; n < served / 4; n += 1) {
    await Promise.all(clients.map((client) => client.send(chatBytes('gpt')).reply()));
  }
  for (const client of clients) client.close();
  // Authenticated and refused, or failed: these have a line too.
  await ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt","bad":"bad"}' });
  await ask(gateway.port, { key: TEST_KEY, body: '{"model":"nothing"}' });
  await ask(gateway.port, { key: TEST_KEY, body: '{' });
  await ask(gateway.port, { key: TEST_KEY, body: '{"model":1}' });
  await ask(gateway.port, { key: TEST_KEY, body: '{}' });
  await ask(gateway.port, { key: TEST_KEY, path: '/v1/responses/none', method: 'GET' });
  await ask(gateway.port, { key: TEST_KEY, path: '/v1/realtime?model=gpt', method: 'GET' });
  // Refused before a key was accepted.
  await ask(gateway.port, { body: '{"model":"gpt"}' });
  await ask(gateway.port, { key: 'sk-blocked', body: '{"model":"gpt"}' });
  await ask(gateway.port, { method: 'PUT', key: TEST_KEY });
  await new RawClient(gateway.port).send('GET / HTTP/9\r\n\r\n').reply('GET');
  await new RawClient(gateway.port).send('no request\r\n\r\n').reply('GET');
  await ask(gateway.port, { path: '/v1/models', method: 'GET' });
  const refused = 6;
  // Left: at the provider, in the middle of the body, while the key is asked for.
  const atProvider = chatClient(gateway.port, 'gpt', ',"wait":"wait"');
  await eventually(() => upstream.requests.at(-1)?.body.includes('"wait"') === true, 'it is there');
  atProvider.close();
  const request = requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' });
  const inBody = new RawClient(gateway.port).send(request.subarray(0, -5));
  const waiting = new RawClient(gateway.port).send(requestBytes({ key: 'sk-unknown', body: '{"model":"gpt"}' }));
  await eventually(() => gateway.messages.some((message) => message.type === 'key-lookup'), 'the key is asked for');
  // In the middle of its head: no request yet.
  const inHead = new RawClient(gateway.port).send('POST /v1/chat/completions HTTP/1.1\r\n');
  await ask(gateway.port, { method: 'GET', path: '/health/liveness' });
  for (const client of [inBody, waiting, inHead]) client.close();
  // No usage.
  await ask(gateway.port, { method: 'GET', path: '/v1/models', key: TEST_KEY });
  await ask(gateway.port, { method: 'GET', path: '/v1/models/none', key: TEST_KEY });
  await ask(gateway.port, { method: 'GET', path: '/health/readiness' });
  await ask(gateway.port, { method: 'GET', path: '/model/info', key: TEST_KEY }); // the control plane is away

  await eventually(() => gateway.journal().length === served + errors + 2, 'all lines are there');
  let found = await terms();
  while (found['in_flight_requests'] !== 1 && looks < 100) found = await terms();
  const expected = {
    journal_lines_total: served + errors + 2,
    journal_dropped_total: 0,
    refused_before_authentication_total: refused,
    abandoned_before_authentication_total: 1,
    unrecorded_requests_total: local + looks - 1,
    in_flight_requests: 1,
  };
  const sum = Object.values(expected).reduce((total, count) => total + count, 0);
  assert.deepEqual(found, { requests_received_total: sum, ...expected });
});
