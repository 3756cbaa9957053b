import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  deployment,
  keyRecord,
  MASTER_KEY,
  snapshotOf,
  startSidecar,
  type SidecarHarness,
} from '../support/sidecar-harness.ts';
import { eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { jsonReply, reply, ScriptedUpstream, type UpstreamScript } from '../support/scripted-upstream.ts';
import { closedPort } from '../support/closed-port.ts';

/** Each holds a word that occurs nowhere else. */
const SECRETS = {
  client: 'sk-client-zebra-0123456789',
  unknown: 'sk-unknown-giraffe-0123456789',
  late: 'sk-late-okapi-0123456789',
  master: MASTER_KEY,
  provider: 'sk-provider-walrus-0123456789',
  extra: 'extra-header-narwhal',
  query: 'query-credential-ibex',
  proxyUser: 'proxy-user-lemur',
  proxyPassword: 'proxy-password-tapir',
  prompt: 'prompt-text-platypus',
  queryKey: 'key-in-query-axolotl',
};

let upstream: ScriptedUpstream;
let gateway: SidecarHarness;
const received: Buffer[] = [];

const quotes: UpstreamScript = (request, answer) => {
  const path = request.lines[0]!;
  const all = `${SECRETS.provider} ${SECRETS.extra} ${SECRETS.query}`;
  if (path.includes('embeddings'))
    answer.write(jsonReply(`{"error":"${all}"}`, 401, [`www-authenticate: Bearer ${SECRETS.provider}`]));
  else if (path.includes('moderations')) answer.write(jsonReply(`{"error":"${all}"}`, 403));
  else if (path.includes('rerank')) answer.write(`HTTP/1.1 2x0 ${all}\r\n\r\n`);
  else if (path.includes('speech')) answer.write(`HTTP/1.1 200 OK\r\nbad header ${all}\r\n\r\n`);
  else if (path.includes('responses')) answer.reset();
  else if (path.includes('images')) answer.write(`HTTP/1.1 200 OK\r\ncontent-length: ${all}\r\n\r\n`);
  else if (path.includes('/completions') && !path.includes('chat')) {
    answer.write(`HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999\r\n\r\ndata: {"a":1}\n\n`);
    setTimeout(() => {
      answer.reset();
    }, 5);
  } else
    answer.write(
      reply(200, ['content-type: application/json', `set-cookie: session=${SECRETS.provider}`], '{"model":"up"}'),
    );
};

before(async () => {
  upstream = await ScriptedUpstream.start(quotes);
  const nobody = await closedPort();
  const own = {
    headers: [
      ['authorization', `Bearer ${SECRETS.provider}`],
      ['x-extra', SECRETS.extra],
    ],
    query: `code=${SECRETS.query}`,
  } as const;
  const through = (group: string, port: number, proxyPort: number) => {
    const base = deployment(group, port, own);
    const proxyUrl = `http://${SECRETS.proxyUser}:${SECRETS.proxyPassword}@127.0.0.1:${proxyPort}`;
    return { ...base, origin: { ...base.origin, proxyUrl } };
  };
  gateway = await startSidecar({
    snapshot: snapshotOf(
      [
        deployment('gpt', upstream.port, own),
        deployment('gone', nobody, own),
        through('no-proxy', upstream.port, nobody),
        through('bad-proxy', upstream.port, upstream.port),
      ],
      { settings: { numRetries: 0 }, timeouts: { authLookupMs: 50 } },
    ),
    keys: [keyRecord(SECRETS.client)],
    complete: false,
    onMessage: (message, send) => {
      if (message.type !== 'key-lookup') return;
      const late = keyRecord(SECRETS.late);
      send({
        type: 'key-answer',
        id: message.id,
        hash: message.hash,
        record: message.hash === late.hash ? late : null,
        failed: false,
      });
    },
  });
});
after(async () => {
  upstream.stop();
  await gateway.stop();
});

async function send(bytes: string | Buffer): Promise<void> {
  const client = new RawClient(gateway.port);
  client.send(bytes);
  await client.until((all) => all.includes('\r\n\r\n')).catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 10));
  received.push(Buffer.from(client.received));
  client.close();
}

describe('secrets', () => {
  it('are in no answer, log line, journal line, metric or file', async () => {
    const { client, unknown, late, prompt, queryKey } = SECRETS;
    const paths = [
      'chat/completions',
      'completions',
      'embeddings',
      'moderations',
      'rerank',
      'audio/speech',
      'responses',
      'images/generations',
      'messages',
    ];
    for (const path of paths) {
      for (const model of ['gpt', 'gone', 'no-proxy', 'bad-proxy', prompt]) {
        const body = JSON.stringify({ model: model === prompt ? 'nothing' : model, messages: [prompt] });
        await send(requestBytes({ key: client, path: `/v1/${path}?key=${queryKey}`, body }));
      }
    }
    for (const key of [unknown, late, MASTER_KEY]) {
      await send(requestBytes({ key, body: `{"model":"gpt","x":"${prompt}"}` }));
      await send(requestBytes({ headers: [`x-api-key: ${key}`], path: '/v1/messages', body: '{' }));
      await send(requestBytes({ key, method: 'GET', path: `/key/info?key=${queryKey}` }));
      await send(requestBytes({ key, method: 'GET', path: '/metrics' }));
      await send(requestBytes({ key, method: 'GET', path: '/v1/models' }));
    }
    await send(
      `POST /v1/chat/completions?key=${queryKey} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${client}\r\nbad header\r\n\r\n`,
    );
    await send(requestBytes({ key: client, headers: [`content-encoding: ${prompt}`], body: prompt }).subarray(0, 400));
    await send(
      requestBytes({
        method: 'GET',
        path: '/v1/realtime?model=gone',
        headers: [
          'connection: upgrade',
          'upgrade: websocket',
          `sec-websocket-protocol: openai-insecure-api-key.${client}`,
        ],
      }),
    );
    await gateway.stopControl();
    await eventually(() => gateway.logs.some((line) => line.includes('lost')), 'noticed');
    await send(requestBytes({ key: unknown, body: '{"model":"gpt"}' }));

    const answers = Buffer.concat(received).toString('latin1');
    assert.ok(answers.length > 10_000);
    const statuses = new Set(Array.from(answers.matchAll(/HTTP\/1\.1 (\d{3}) /g), ([, status]) => status));
    for (const status of ['200', '400', '401', '403', '502', '503'])
      assert.ok(statuses.has(status), `${status} among ${[...statuses].join()}`);
    const logs = gateway.logs.join('');
    assert.ok(logs.length > 0);
    const journal = gateway.journalText();
    assert.ok(journal.length > 1000);
    const messages = JSON.stringify(gateway.messages);
    for (const [name, secret] of Object.entries(SECRETS)) {
      // What a client sent itself may come back to it in an error about just that.
      if (name !== 'prompt') assert.ok(!answers.includes(secret), `${name} in an answer`);
      assert.ok(!logs.includes(secret), `${name} in the log`);
      assert.ok(!journal.includes(secret), `${name} in the journal`);
      assert.ok(!messages.includes(secret), `${name} told to the control plane`);
      for (const file of filesUnder(gateway.dataDirectory)) {
        assert.ok(!readFileSync(file).includes(secret), `${name} in ${file}`);
      }
    }
    const hash = createHash('sha256').update(client).digest('hex');
    assert.ok(!answers.includes(hash) && !logs.includes(hash), 'nor the whole hash of a key in an answer or a log');
  });
});

function filesUnder(directory: string): string[] {
  return readdirSync(directory, { recursive: true })
    .map((name) => join(directory, name as string))
    .filter((path) => statSync(path).isFile());
}
