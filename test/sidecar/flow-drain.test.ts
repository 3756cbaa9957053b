import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TimeoutName } from '../../src/contract/timeouts.ts';
import {
  CLOCK_SLACK_MS,
  chatBytes,
  chatClient,
  metric,
  nothingInFlight,
  since,
  startFlow,
} from '../support/flow-support.ts';
import { ask, eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { deployment, MASTER_KEY, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import { jsonReply, ScriptedUpstream, sse, type UpstreamScript } from '../support/scripted-upstream.ts';

const STREAM_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';

function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

/** A gateway that the test itself stops; the journal can be read afterwards. */
async function withDrain(
  script: UpstreamScript,
  options: { readonly timeouts?: Partial<Record<TimeoutName, number>>; readonly threads: number },
  body: (gateway: SidecarHarness, upstream: ScriptedUpstream) => Promise<void>,
): Promise<void> {
  const upstream = await ScriptedUpstream.start(script);
  const { threads } = options;
  const gateway = await startFlow([deployment('gpt', upstream.port)], options.timeouts, { settings: { threads } });
  let stopped: Promise<unknown> | null = null;
  try {
    await body({ ...gateway, stop: () => (stopped ??= gateway.stop({ keepData: true })) as Promise<void> }, upstream);
  } finally {
    await (stopped ?? gateway.stop());
    rmSync(gateway.dataDirectory, { recursive: true, force: true });
    upstream.stop();
  }
}

async function connectionPerThread(port: number, threads: number): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (let n = 0; n < threads; n += 1) {
    const client = new RawClient(port);
    clients.push(client);
    assert.equal((await client.send(READINESS).reply('GET')).status, 200);
  }
  return clients;
}

/** Resolves when the thread of this connection answers as one that drains: not ready, and `connection: close`. */
async function isToldToDrain(client: RawClient): Promise<void> {
  for (;;) {
    const reply = await client.send(READINESS).reply('GET');
    if (reply.status === 503) {
      assert.equal(reply.header('connection'), 'close');
      await client.ended();
      return;
    }
    await sleep(5);
  }
}

const READINESS = requestBytes({ method: 'GET', path: '/health/readiness' });

describe('drain', { concurrency: true }, () => {
  for (const threads of [1, 2]) {
    describe(`threads: ${threads}`, { concurrency: true }, () => {
      it('requests in flight are answered, with connection: close', async () => {
        const draining = Promise.withResolvers<void>();
        const script: UpstreamScript = async (_request, reply) => {
          await draining.promise;
          reply.write(jsonReply('{}'));
        };
        await withDrain(script, { threads, timeouts: { drainMs: 20_000 } }, async (gateway, upstream) => {
          // One connection to each worker: new ones go to the worker with the fewest.
          const probes = await connectionPerThread(gateway.port, threads);
          const clients = Array.from({ length: 4 }, () => chatClient(gateway.port, 'gpt'));
          await eventually(() => upstream.requests.length === 4, 'all are at the provider');
          const stopped = gateway.stop();
          await Promise.all(probes.map(isToldToDrain));
          draining.resolve();
          for (const client of clients) {
            const reply = await client.reply();
            assert.equal(reply.status, 200);
            assert.equal(reply.header('connection'), 'close');
            await client.ended();
          }
          await stopped;
          assert.equal(gateway.journal().length, 4);
        });
      });

      it('what takes longer than drain is cut off and recorded as that', async () => {
        const script: UpstreamScript = (request, reply) => {
          if (request.body.includes('"stream":true')) reply.write(STREAM_HEAD + chunk(sse('{"n":1}')));
        };
        await withDrain(script, { threads, timeouts: { drainMs: 400 } }, async (gateway, upstream) => {
          const streaming = chatClient(gateway.port, 'gpt', ',"stream":true');
          const waiting = chatClient(gateway.port, 'gpt');
          const halfSent = new RawClient(gateway.port);
          halfSent.send(requestBytes({ key: TEST_KEY, headers: ['content-length: 100'] })).send('{');
          await streaming.until((received) => received.includes('data: '));
          await eventually(() => upstream.requests.length === 2, 'both are at the provider');
          const from = performance.now();
          await gateway.stop();
          assert.ok(since(from) >= 400 - CLOCK_SLACK_MS);
          const received = await streaming.ended();
          assert.ok(!received.includes('0\r\n\r\n'), 'the client sees that its stream is not whole');
          assert.equal((await waiting.ended()).length, 0);
          await halfSent.ended();
          const events = gateway.journal();
          assert.deepEqual(events.map(({ aborted, status }) => `${aborted} ${status}`).sort(), [
            'drain 0',
            'drain 0',
            'drain 200',
          ]);
        });
      });

      it('shutdown_delay: not ready, every answer closes, new connections are served', async () => {
        const script: UpstreamScript = (_request, reply) => reply.write(jsonReply('{}'));
        await withDrain(script, { threads, timeouts: { shutdownDelayMs: 4_000, drainMs: 20_000 } }, async (gateway) => {
          const kept = chatClient(gateway.port, 'gpt');
          assert.equal((await kept.reply()).header('connection'), null);
          const stopped = gateway.stop();
          const readiness = async (): Promise<number> =>
            (await ask(gateway.port, { method: 'GET', path: '/health/readiness' })).status;
          while ((await readiness()) !== 503) await sleep(10);
          assert.equal((await ask(gateway.port, { method: 'GET', path: '/health/liveness' })).status, 200);
          const late = await ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt"}' });
          assert.deepEqual([late.status, late.header('connection')], [200, 'close']);
          await isToldToDrain(kept);
          await stopped;
          const refused = connect(gateway.port, '127.0.0.1');
          await new Promise((resolve) => refused.once('error', resolve));
        });
      });

      it('idle connections, and those whose client does not close its side, do not hold it up', async () => {
        const script: UpstreamScript = (_request, reply) => reply.write(jsonReply('{}'));
        await withDrain(script, { threads, timeouts: { drainMs: 60_000 } }, async (gateway) => {
          const idle = chatClient(gateway.port, 'gpt');
          await idle.reply();
          const silent = new RawClient(gateway.port);
          // Never sends its FIN.
          const stubborn = connect({ port: gateway.port, host: '127.0.0.1', allowHalfOpen: true });
          stubborn.on('error', () => undefined);
          stubborn.resume();
          stubborn.write(chatBytes('gpt'));
          await eventually(() => gateway.journal().length === 2, 'both are answered');
          await gateway.stop();
          await idle.ended();
          await silent.ended();
          stubborn.destroy();
        });
      });
    });
  }
});

/** Runs `body` with a gateway of two threads, and a way to end each. */
async function withThreads(body: (gateway: SidecarHarness, threads: Worker[]) => Promise<void>): Promise<void> {
  const threads: Worker[] = [];
  const take = (worker: Worker): void => void threads.push(worker);
  process.on('worker', take);
  const upstream = await ScriptedUpstream.start(async (request, reply) => {
    if (request.body.includes('"wait"')) await sleep(300);
    reply.write(jsonReply('{}'));
  });
  const gateway = await startFlow([deployment('gpt', upstream.port)], {}, { settings: { threads: 2 } });
  try {
    await body(gateway, threads);
  } finally {
    process.off('worker', take);
    await gateway.stop();
    upstream.stop();
  }
}

describe('two threads', () => {
  it('connections are spread evenly, in bursts too, and the freed places are filled', async () => {
    await withThreads(async (gateway) => {
      const clients = Array.from({ length: 40 }, () => chatClient(gateway.port, 'gpt'));
      await Promise.all(clients.map((client) => client.reply()));
      const perWorker = (): number[] => [...new Set(segments(gateway))].map((name) => linesOf(gateway, name));
      assert.deepEqual(perWorker(), [20, 20]);
      for (const client of clients) client.close();
      await sleep(100);
      const more = Array.from({ length: 40 }, () => chatClient(gateway.port, 'gpt'));
      await Promise.all(more.map((client) => client.reply()));
      assert.deepEqual(perWorker(), [40, 40]);
      for (const client of more) client.close();
      await nothingInFlight(gateway.port);
    });
  });

  it('one that ends takes only its own connections; another takes its place', async () => {
    await withThreads(async (gateway, threads) => {
      const clients = Array.from({ length: 8 }, () => chatClient(gateway.port, 'gpt'));
      await Promise.all(clients.map((client) => client.reply()));
      for (const client of clients) client.send(chatBytes('gpt', ',"wait":1'));
      await sleep(50);
      await threads[0]!.terminate();
      const outcomes = await Promise.all(
        clients.map((client) =>
          client.reply().then(
            ({ status }) => String(status),
            () => 'dropped',
          ),
        ),
      );
      assert.deepEqual(outcomes.toSorted(), ['200', '200', '200', '200', 'dropped', 'dropped', 'dropped', 'dropped']);
      // The survivors' connections go on, and new ones are served by both threads.
      for (const [index, client] of clients.entries()) {
        if (outcomes[index] === '200') assert.equal((await client.send(chatBytes('gpt')).reply()).status, 200);
      }
      await eventually(() => threads.length === 3, 'another thread is started');
      const more = Array.from({ length: 12 }, () => chatClient(gateway.port, 'gpt'));
      for (const client of more) assert.equal((await client.reply()).status, 200);
      assert.equal(new Set(segments(gateway)).size, 3, 'the new one writes to files of its own');
      for (const client of [...clients, ...more]) client.close();
      await nothingInFlight(gateway.port);
      assert.ok((await metric(gateway.port, 'slipstream_journal_lines_total')) > 0);
      assert.ok(gateway.logs.some((line) => line.includes('a worker thread ended')));
      assert.equal((await ask(gateway.port, { method: 'GET', path: '/v1/models', key: MASTER_KEY })).status, 200);
    });
  });
});

function segments({ dataDirectory }: SidecarHarness): string[] {
  return readdirSync(join(dataDirectory, 'journal')).sort();
}

function linesOf({ dataDirectory }: SidecarHarness, name: string): number {
  return readFileSync(join(dataDirectory, 'journal', name), 'utf8').split('\n').length - 1;
}
