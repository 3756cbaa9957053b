import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { KeyLookupMessage, ToControl, ToSidecar } from '../../src/contract/control-messages.ts';
import type { KeyRecord } from '../../src/contract/key-record.ts';
import {
  deployment,
  keyRecord,
  sha256,
  snapshotOf,
  startSidecar,
  TEST_KEY,
  type HarnessOptions,
  type SidecarHarness,
} from '../support/sidecar-harness.ts';
import { ask, eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream } from '../support/scripted-upstream.ts';

const BODY = '{"model":"gpt"}';
const LATE_KEY = 'sk-late-0123456789abcdef';

let upstream: ScriptedUpstream;
before(async () => {
  upstream = await ScriptedUpstream.start((_request, answer) => {
    answer.write(jsonReply('{}'));
  });
});
after(() => {
  upstream.stop();
});

/** Runs `body` with a gateway that is stopped afterwards. */
async function withGateway(
  options: Partial<HarnessOptions> & { threads?: number; timeouts?: Record<string, number> },
  body: (gateway: SidecarHarness) => Promise<void>,
): Promise<void> {
  const { threads = 1, timeouts = {}, ...rest } = options;
  const gateway = await startSidecar({
    snapshot: snapshotOf([deployment('gpt', upstream.port)], { settings: { threads }, timeouts }),
    ...rest,
  });
  try {
    await body(gateway);
  } finally {
    await gateway.stop();
  }
}

async function status(gateway: SidecarHarness, key: string): Promise<string> {
  const reply = await ask(gateway.port, { key, body: BODY });
  return `${reply.status} ${reply.header('x-slipstream-error') ?? 'ok'}`;
}

const lookups = (gateway: SidecarHarness): KeyLookupMessage[] =>
  gateway.messages.filter((message) => message.type === 'key-lookup');

/** A control plane that knows `records`. */
function knows(...records: KeyRecord[]): (message: ToControl, send: (message: ToSidecar) => void) => void {
  return (message, send) => {
    if (message.type !== 'key-lookup') return;
    const record = records.find(({ hash }) => hash === message.hash) ?? null;
    send({ type: 'key-answer', id: message.id, hash: message.hash, record, failed: false });
  };
}

describe('a key that is not in the directory', () => {
  it('is unknown without asking where the directory is complete', async () => {
    await withGateway({ onMessage: knows(keyRecord(LATE_KEY)) }, async (gateway) => {
      assert.equal(await status(gateway, LATE_KEY), '401 invalid_key');
      assert.equal(lookups(gateway).length, 0);
    });
  });

  it('is a 503 with the control plane away, never a 401; known keys work', async () => {
    for (const complete of [true, false]) {
      await withGateway({ complete }, async (gateway) => {
        await gateway.stopControl();
        await eventually(() => gateway.logs.some((line) => line.includes('control plane lost')), 'lost');
        const reply = await ask(gateway.port, { key: LATE_KEY, body: BODY });
        assert.equal(reply.status, 503);
        assert.equal(reply.header('x-slipstream-error'), 'control_unavailable');
        assert.ok(Number(reply.header('retry-after')) >= 1);
        const { error } = JSON.parse(reply.text) as { error: Record<string, unknown> };
        assert.equal(error['type'], 'no_db_connection');
        assert.equal(await status(gateway, TEST_KEY), '200 ok');
        await gateway.startControl();
        await eventually(
          () => gateway.logs.filter((line) => line.includes('control plane connected')).length === 2,
          'back',
        );
        if (complete) assert.equal(await status(gateway, LATE_KEY), '401 invalid_key');
      });
    }
  });

  it('is asked for once, however many requests wait, and remembered', async () => {
    const record = keyRecord(LATE_KEY, { userId: 'late' });
    await withGateway({ complete: false }, async (gateway) => {
      const many = Promise.all(Array.from({ length: 20 }, () => status(gateway, LATE_KEY)));
      const other = status(gateway, 'sk-other');
      await eventually(() => lookups(gateway).length === 2, 'both were asked for');
      await new Promise((resolve) => setTimeout(resolve, 20));
      for (const { id, hash } of lookups(gateway)) {
        gateway.send({ type: 'key-answer', id, hash, record: hash === record.hash ? record : null, failed: false });
      }
      assert.deepEqual(new Set(await many), new Set(['200 ok']));
      assert.equal(await other, '401 invalid_key');
      assert.equal(await status(gateway, LATE_KEY), '200 ok');
      assert.deepEqual(
        lookups(gateway)
          .map(({ hash }) => hash)
          .sort(),
        [record.hash, sha256('sk-other')].sort(),
        'one each, by hash: the key itself stays here',
      );
      assert.equal(gateway.journal().at(-1)?.user, 'late');
    });
  });

  it('the body that comes meanwhile, and the next request, wait and are served in order', async () => {
    await withGateway({ complete: false }, async (gateway) => {
      const client = new RawClient(gateway.port);
      const large = `{"x":"${'y'.repeat(300_000)}","model":"gpt"}`;
      client.send(requestBytes({ key: LATE_KEY, body: large }));
      client.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt","second":1}' }));
      await eventually(() => lookups(gateway).length === 1, 'asked');
      const { id, hash } = lookups(gateway)[0]!;
      const count = upstream.requests.length;
      gateway.send({ type: 'key-answer', id, hash, record: keyRecord(LATE_KEY), failed: false });
      assert.equal((await client.reply()).status, 200);
      assert.equal((await client.reply()).status, 200);
      client.close();
      assert.equal(upstream.requests[count]!.body, large.replace('"gpt"', '"upstream-gpt"'));
      assert.equal(upstream.requests[count + 1]!.body, '{"model":"upstream-gpt","second":1}');
    });
  });

  it('100-continue is sent when the key is known, not before', async () => {
    await withGateway({ complete: false }, async (gateway) => {
      const client = new RawClient(gateway.port);
      const request = requestBytes({ key: LATE_KEY, headers: ['expect: 100-continue'], body: BODY });
      const headEnd = request.indexOf('\r\n\r\n') + 4;
      client.send(request.subarray(0, headEnd));
      await eventually(() => lookups(gateway).length === 1, 'asked');
      assert.equal(client.received.length, 0);
      const { id, hash } = lookups(gateway)[0]!;
      gateway.send({ type: 'key-answer', id, hash, record: keyRecord(LATE_KEY), failed: false });
      assert.equal((await client.reply()).raw.toString(), 'HTTP/1.1 100 Continue\r\n\r\n');
      client.send(request.subarray(headEnd));
      assert.equal((await client.reply()).status, 200);
      client.close();
    });
  });

  it('is a 503 if the control plane can not tell, does not answer in time, or goes away meanwhile', async () => {
    await withGateway({ complete: false, timeouts: { authLookupMs: 50 } }, async (gateway) => {
      const failed = status(gateway, 'sk-1');
      await eventually(() => lookups(gateway).length === 1, 'asked');
      const { id, hash } = lookups(gateway)[0]!;
      gateway.send({ type: 'key-answer', id, hash, record: null, failed: true });
      assert.equal(await failed, '503 control_unavailable');
      assert.equal(await status(gateway, 'sk-2'), '503 control_unavailable', 'no answer');
      const again = status(gateway, 'sk-1');
      await eventually(() => lookups(gateway).length === 3, 'a failure is not remembered');
      gateway.send({ ...lookups(gateway)[2]!, type: 'key-answer', record: keyRecord('sk-1'), failed: false });
      assert.equal(await again, '200 ok');
    });
    await withGateway({ complete: false }, async (gateway) => {
      const cut = status(gateway, 'sk-1');
      await eventually(() => lookups(gateway).length === 1, 'asked');
      await gateway.stopControl();
      assert.equal(await cut, '503 control_unavailable');
    });
  });

  it('that is known to be unknown is not asked for again, until it is made', async () => {
    await withGateway({ complete: false, onMessage: knows() }, async (gateway) => {
      for (let n = 0; n < 5; n += 1) assert.equal(await status(gateway, LATE_KEY), '401 invalid_key');
      assert.equal(lookups(gateway).length, 1);
      const record = keyRecord(LATE_KEY);
      gateway.send({ type: 'key-changes', fromSequence: 0, toSequence: 1, changes: [{ hash: record.hash, record }] });
      await eventually(() => gateway.messages.length > 0, 'sent');
      assert.equal(await retried(gateway, LATE_KEY, '200 ok'), '200 ok');
      assert.equal(lookups(gateway).length, 1);
    });
  });

  it('a flood of unknown keys pushes no good one out', async () => {
    await withGateway({ complete: false, onMessage: knows(keyRecord(LATE_KEY)) }, async (gateway) => {
      assert.equal(await status(gateway, LATE_KEY), '200 ok');
      const client = new RawClient(gateway.port);
      const guesses = Array.from({ length: 5000 }, (_unused, n) => requestBytes({ key: `sk-guess-${n}` }));
      client.send(Buffer.concat(guesses));
      for (let n = 0; n < guesses.length; n += 1) {
        const reply = await client.reply();
        assert.equal(reply.status, n < 100 ? 401 : 429);
      }
      client.close();
      const asked = lookups(gateway).length;
      assert.equal(await status(gateway, LATE_KEY), '200 ok');
      assert.equal(await status(gateway, TEST_KEY), '200 ok');
      assert.equal(lookups(gateway).length, asked, 'still at hand');
    });
  });

  it('look-ups are limited per client address, and only those that find nothing count', async () => {
    const good = Array.from({ length: 300 }, (_unused, n) => keyRecord(`sk-good-${n}`));
    await withGateway({ complete: false, onMessage: knows(...good) }, async (gateway) => {
      const client = new RawClient(gateway.port);
      for (let n = 0; n < good.length; n += 1) {
        assert.equal((await client.send(requestBytes({ key: `sk-good-${n}`, body: BODY })).reply()).status, 200);
      }
      let refused = null;
      let tries = 0;
      for (; tries < 1000 && refused === null; tries += 1) {
        const reply = await client.send(requestBytes({ key: `sk-guess-${tries}`, body: BODY })).reply();
        if (reply.status === 429) refused = reply;
        else assert.equal(reply.status, 401);
      }
      client.close();
      assert.ok(refused !== null, 'guessing is slowed down');
      assert.equal(refused.header('x-slipstream-error'), 'rate_limited');
      assert.ok(Number(refused.header('retry-after')) >= 1);
      assert.equal(await status(gateway, 'sk-good-1'), '200 ok', 'known keys of the same address work');
      assert.equal(await status(gateway, TEST_KEY), '200 ok');
      const asked = lookups(gateway).length;
      assert.equal(await status(gateway, 'sk-guess-new'), '429 rate_limited');
      assert.equal(lookups(gateway).length, asked, 'the control plane is spared');
      const own = new RawClient(gateway.port, '127.0.0.2');
      assert.equal((await own.send(requestBytes({ key: 'sk-guess-other', body: BODY })).reply()).status, 401);
      own.close();
    });
  });
});

/** Asks until the answer is `expected`: a message to the sidecar takes a moment. */
async function retried(gateway: SidecarHarness, key: string, expected: string): Promise<string> {
  let last = '';
  for (let n = 0; n < 500 && last !== expected; n += 1) last = await status(gateway, key);
  return last;
}

describe('changes of keys', () => {
  for (const threads of [1, 2]) {
    it(`reach ${threads === 1 ? 'the worker' : 'every worker'}: revoked, blocked, limited, made`, async () => {
      await withGateway({ threads }, async (gateway) => {
        // As many connections as it takes to have one on each worker.
        const clients = Array.from({ length: 4 }, () => new RawClient(gateway.port));
        const statuses = async (): Promise<number[]> =>
          Promise.all(
            clients.map(
              async (client) => (await client.send(requestBytes({ key: TEST_KEY, body: BODY })).reply()).status,
            ),
          );
        const all = async (expected: number): Promise<void> => {
          let seen: number[] = [];
          for (let n = 0; n < 500; n += 1) {
            seen = await statuses();
            if (seen.every((each) => each === expected)) return;
          }
          assert.deepEqual(
            seen,
            clients.map(() => expected),
          );
        };
        await all(200);
        const hash = sha256(TEST_KEY);
        const change = (sequence: number, record: KeyRecord | null): void => {
          gateway.send({
            type: 'key-changes',
            fromSequence: sequence,
            toSequence: sequence + 1,
            changes: [{ hash, record }],
          });
        };
        change(0, null);
        await all(401);
        change(1, keyRecord(TEST_KEY, { models: ['other'] }));
        await all(403);
        change(2, keyRecord(TEST_KEY, { blocked: true }));
        await all(401);
        change(3, keyRecord(TEST_KEY, { models: ['gpt'] }));
        await all(200);
        for (const client of clients) client.close();
      });
    });
  }

  it('a gap is noticed: the keys are asked for again', async () => {
    await withGateway({}, async (gateway) => {
      const record = keyRecord(LATE_KEY);
      gateway.send({ type: 'key-changes', fromSequence: 7, toSequence: 8, changes: [{ hash: record.hash, record }] });
      await eventually(() => gateway.messages.some(({ type }) => type === 'resend-keys'), 'asked again');
      assert.equal(await status(gateway, LATE_KEY), '401 invalid_key', 'nothing is taken over a gap');
      gateway.send(gateway.keyDirectory([keyRecord(LATE_KEY)], 8));
      assert.equal(await retried(gateway, LATE_KEY, '200 ok'), '200 ok');
      assert.equal(await status(gateway, TEST_KEY), '401 invalid_key', 'no longer there');
      gateway.send({
        type: 'key-changes',
        fromSequence: 8,
        toSequence: 9,
        changes: [{ hash: record.hash, record: null }],
      });
      assert.equal(await retried(gateway, LATE_KEY, '401 invalid_key'), '401 invalid_key');
    });
  });

  it('that come before the first snapshot are not lost', async () => {
    const hash = sha256(TEST_KEY);
    const late = keyRecord(LATE_KEY);
    await withGateway(
      {
        greeting: (snapshot, keys) => [
          keys,
          { type: 'key-changes', fromSequence: 0, toSequence: 1, changes: [{ hash, record: null }] },
          { type: 'key-changes', fromSequence: 1, toSequence: 2, changes: [{ hash: late.hash, record: late }] },
          snapshot,
        ],
      },
      async (gateway) => {
        assert.equal(await status(gateway, TEST_KEY), '401 invalid_key');
        assert.equal(await status(gateway, LATE_KEY), '200 ok');
      },
    );
  });

  it('a directory that can not be read changes nothing', async () => {
    await withGateway({}, async (gateway) => {
      gateway.send({ type: 'key-directory', path: `${gateway.dataDirectory}/missing`, sequence: 5, complete: true });
      await eventually(() => gateway.logs.some((line) => line.includes('key directory')), 'said so');
      assert.equal(await status(gateway, TEST_KEY), '200 ok');
      const record = keyRecord(LATE_KEY);
      gateway.send({ type: 'key-changes', fromSequence: 0, toSequence: 1, changes: [{ hash: record.hash, record }] });
      assert.equal(await retried(gateway, LATE_KEY, '200 ok'), '200 ok');
    });
  });
});
