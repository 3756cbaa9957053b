import assert from 'node:assert/strict';
import { Session } from 'node:inspector';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker as Thread } from 'node:worker_threads';
import { giveBackShares, newSharedMemory } from '../../src/sidecar/worker/shared-memory.ts';
import { chatBytes, chatClient, startFlow } from '../support/flow-support.ts';
import { eventually, type RawClient } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream } from '../support/scripted-upstream.ts';
import { deployment, type SidecarHarness } from '../support/sidecar-harness.ts';

const HEARTBEAT_MS = 50;

interface Started {
  readonly gateway: SidecarHarness;
  /** Every worker thread so far, in the order of their starts. */
  readonly threads: Thread[];
}

/** Two worker threads whose heart beats fast. A request with `"wait"` is answered after 300 ms. */
async function start(t: TestContext): Promise<Started> {
  const upstream = await ScriptedUpstream.start(async (request, reply) => {
    if (request.body.includes('"wait"')) await sleep(300);
    reply.write(jsonReply('{}'));
  });
  const threads: Thread[] = [];
  const onWorker = (thread: Thread): void => void threads.push(thread);
  process.on('worker', onWorker);
  const gateway = await startFlow(
    [deployment('gpt', upstream.port)],
    {},
    {
      settings: { threads: 2 },
      harness: { heartbeatIntervalMs: HEARTBEAT_MS },
    },
  );
  t.after(async () => {
    process.off('worker', onWorker);
    await gateway.stop();
    upstream.stop();
  });
  assert.equal(threads.length, 2);
  const clients = [chatClient(gateway.port, 'gpt'), chatClient(gateway.port, 'gpt')];
  for (const client of clients) assert.equal((await client.reply()).status, 200);
  for (const client of clients) client.close();
  await sleep(20); // until both threads have counted that
  return { gateway, threads };
}

/** Runs `expression` in a thread, as its debugger could, and does not wait for it. */
async function runIn(thread: Thread, expression: string): Promise<void> {
  const session = new Session();
  session.connect();
  const attached = Promise.withResolvers<string>();
  session.on('NodeWorker.attachedToWorker', ({ params }) => {
    // Its `workerId` is a number of this session.
    if (params.workerInfo.title.startsWith(`[worker ${thread.threadId}]`)) attached.resolve(params.sessionId);
  });
  session.post('NodeWorker.enable', { waitForDebuggerOnStart: false });
  const message = JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } });
  session.post('NodeWorker.sendMessageToWorker', { sessionId: await attached.promise, message });
  await sleep(20);
  session.disconnect();
}

function outcome(client: RawClient): Promise<'answered' | 'dropped'> {
  return client.reply().then(
    ({ status }) => (status === 200 ? 'answered' : 'dropped'),
    () => 'dropped',
  );
}

describe('worker threads', { timeout: 30_000 }, () => {
  it('one that hangs is ended and replaced; only its own connections drop, and the others never wait', async (t) => {
    const { gateway, threads } = await start(t);
    const clients = Array.from({ length: 6 }, () => chatClient(gateway.port, 'gpt'));
    for (const client of clients) assert.equal((await client.reply()).status, 200);
    await runIn(threads[0]!, 'for (;;) {}');
    for (const client of clients) client.send(chatBytes('gpt'));
    const outcomes = await Promise.all(clients.map(outcome));
    assert.deepEqual(outcomes.toSorted(), ['answered', 'answered', 'answered', 'dropped', 'dropped', 'dropped']);
    await eventually(() => threads.length === 3, 'another one is started');
    assert.ok(gateway.logs.some((line) => line.includes('a worker thread hangs')));
    const more = Array.from({ length: 8 }, () => chatClient(gateway.port, 'gpt'));
    for (const client of more) assert.equal((await client.reply()).status, 200);
    for (const client of [...clients, ...more]) client.close();
  });

  it('a long turn of the loop is no hang: new connections go to the others, nothing drops', async (t) => {
    const { gateway, threads } = await start(t);
    const clients = Array.from({ length: 4 }, () => chatClient(gateway.port, 'gpt'));
    for (const client of clients) assert.equal((await client.reply()).status, 200);
    // Six of the ten heartbeats that make a hang.
    await runIn(threads[1]!, `{ const end = Date.now() + ${6 * HEARTBEAT_MS}; while (Date.now() < end); }`);
    await sleep(3 * HEARTBEAT_MS);
    const during = Array.from({ length: 4 }, () => chatClient(gateway.port, 'gpt', ',"wait":1'));
    for (const client of [...clients, ...during]) client.send(chatBytes('gpt'));
    for (const client of [...clients, ...during]) assert.equal(await outcome(client), 'answered');
    assert.equal(threads.length, 2);
    for (const client of [...clients, ...during]) client.close();
  });

  it('one that hangs does not keep the sidecar from draining', async (t) => {
    const { gateway, threads } = await start(t);
    await runIn(threads[0]!, 'for (;;) {}');
    await gateway.sidecar.beginDrain();
    await gateway.sidecar.finishDrain();
    assert.equal(threads.length, 2);
  });

  it('that end again and again are started ever later, and requests are served in between', async (t) => {
    const { gateway, threads } = await start(t);
    for (let round = 0; round < 3; round += 1) {
      const count = threads.length;
      await Promise.all(threads.slice(-2).map((thread) => thread.terminate()));
      // With no thread there at all, the connection waits for the next one.
      const client = chatClient(gateway.port, 'gpt');
      assert.equal(await outcome(client), 'answered');
      client.close();
      await eventually(() => threads.length === count + 2, 'both are replaced');
    }
  });

  it('what one held is given back when it has ended', () => {
    const shared = newSharedMemory(2, { windowMs: 60_000, maxSubjects: 64 });
    shared.connectionCounts.fill(7);
    giveBackShares(shared, 1);
    assert.deepEqual([...shared.connectionCounts], [7, 0]);
  });
});
