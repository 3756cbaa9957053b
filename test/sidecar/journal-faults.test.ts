import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { auditJournal } from '../../src/cli/journal/journal-audit.ts';
import { DEFAULT_JOURNAL_SETTINGS, type JournalSettings } from '../../src/contract/snapshot.ts';
import { isProcessLockHeld } from '../../src/runtime/process-lock.ts';
import { chatBytes, metric } from '../support/flow-support.ts';
import { ask, eventually, RawClient } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream, sse } from '../support/scripted-upstream.ts';
import { deployment, snapshotOf, startSidecar, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';

const BODY = '{"model":"gpt"}';
const realWriteSync = fs.writeSync;
const realWrite = fs.write;

/** What the disk does to journal writes: how long each takes, and what it fails with. */
interface Disk {
  delayMs: number;
  failure: string | null;
  writesInPlace: number;
}
let disk: Disk;

function isJournal(data: unknown): boolean {
  return Buffer.isBuffer(data) && (data.includes('"requestBytes"') || data.every((byte) => byte === 0x0a));
}

function failIfAsked(): void {
  if (disk.failure !== null) throw Object.assign(new Error(`${disk.failure}: scripted`), { code: disk.failure });
}

function scriptDisk(): void {
  disk = { delayMs: 0, failure: null, writesInPlace: 0 };
  fs.writeSync = (fd: number, data: unknown, ...rest: unknown[]): number => {
    if (isJournal(data)) {
      disk.writesInPlace += 1;
      if (disk.delayMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, disk.delayMs);
      failIfAsked();
    }
    return (realWriteSync as (...args: unknown[]) => number)(fd, data, ...rest);
  };
  const write = (fd: number, data: unknown, ...rest: unknown[]): void => {
    setTimeout(
      () => {
        (realWrite as (...args: unknown[]) => void)(fd, data, ...rest);
      },
      isJournal(data) ? disk.delayMs : 0,
    );
  };
  fs.write = write as typeof fs.write;
  syncBuiltinESMExports();
}

let upstream: ScriptedUpstream;
let gateway: SidecarHarness;

async function start(settings: Partial<JournalSettings>): Promise<void> {
  gateway = await startSidecar({
    snapshot: snapshotOf([deployment('gpt', upstream.port)], {
      settings: { journal: { ...DEFAULT_JOURNAL_SETTINGS, ...settings } },
    }),
  });
}

before(async () => {
  upstream = await ScriptedUpstream.start(() => undefined);
});
beforeEach(() => {
  scriptDisk();
  upstream.script = (_request, answer) => {
    answer.write(jsonReply('{}'));
  };
});
afterEach(async () => {
  fs.writeSync = realWriteSync;
  fs.write = realWrite;
  syncBuiltinESMExports();
  await gateway.stop();
});
after(() => {
  upstream.stop();
});

const logged = (pattern: RegExp): number => gateway.logs.filter((line) => pattern.test(line)).length;

describe('a slow disk', () => {
  it('stops the loop once; then requests go on, and each answer waits for its line', async () => {
    await start({});
    disk.delayMs = 80;
    await ask(gateway.port, { key: TEST_KEY, body: BODY });
    assert.equal(disk.writesInPlace, 1);
    let served = 0;
    const client = async (): Promise<void> => {
      for (let n = 0; n < 4; n += 1) {
        const fromMs = performance.now();
        const reply = await ask(gateway.port, { key: TEST_KEY, body: BODY });
        assert.ok(performance.now() - fromMs >= disk.delayMs - 2, 'the answer did not wait for the disk');
        const id = reply.header('x-slipstream-call-id');
        assert.ok(
          gateway.journal().some((event) => event.id === id),
          'the answer came before its line was on disk',
        );
        served += 1;
      }
    };
    const clients = Promise.all(Array.from({ length: 8 }, client));
    let checks = 0;
    for (let isOver = false; !isOver; isOver = served === 32) {
      await ask(gateway.port, { method: 'GET', path: '/health/liveness' }); // waits for no disk
      checks += 1;
    }
    await clients;
    assert.equal(disk.writesInPlace, 1, 'the loop was held up again');
    assert.ok(checks > 32, `${checks} health checks beside 32 requests`);
    assert.equal(await metric(gateway.port, 'slipstream_journal_slow'), 1);
    assert.equal(logged(/journal's disk is slow/), 1);
    assert.equal(await metric(gateway.port, 'slipstream_journal_dropped_total'), 0);
    assert.equal(gateway.journal().length, 33);
  });

  it('a stop waits for the lines on their way', async () => {
    await start({});
    disk.delayMs = 60;
    await ask(gateway.port, { key: TEST_KEY, body: BODY });
    const client = new RawClient(gateway.port).send(chatBytes('gpt'));
    await eventually(() => upstream.requests.length >= 2, 'it is at the provider');
    await sleep(20);
    client.close();
    const { dataDirectory } = gateway;
    await gateway.stop({ keepData: true });
    const report = auditJournal(dataDirectory);
    assert.deepEqual([report.problemCount, report.events, report.livingProcesses], [0, 2, 0]);
    await start({});
    fs.rmSync(dataDirectory, { recursive: true });
  });
});

describe('no room', () => {
  it('refuse: requests are answered 503 before their key is looked at, until there is room', async () => {
    await start({ onFull: 'refuse' });
    disk.failure = 'ENOSPC';
    const sentBefore = upstream.requests.length;
    // The one that finds out is served, as it was admitted.
    assert.equal((await ask(gateway.port, { key: TEST_KEY, body: BODY })).status, 200);
    const refused = await ask(gateway.port, { key: TEST_KEY, body: BODY });
    assert.equal(refused.status, 503);
    assert.equal(refused.header('x-slipstream-error'), 'journal_unavailable');
    assert.equal(refused.header('retry-after'), '2');
    assert.equal((await ask(gateway.port, { method: 'GET', path: '/v1/models', key: TEST_KEY })).status, 200);
    assert.equal(upstream.requests.length - sentBefore, 1, 'the refused one went nowhere');
    await eventually(() => logged(/new requests are refused/) === 1, 'it says so');
    assert.equal(await metric(gateway.port, 'slipstream_journal_failing'), 1);
    disk.failure = null;
    const served = async (): Promise<boolean> =>
      (await ask(gateway.port, { key: TEST_KEY, body: BODY })).status === 200;
    const fromMs = performance.now();
    while (!(await served())) {
      assert.ok(performance.now() - fromMs < 5_000, 'it does not recover');
      await sleep(50);
    }
    assert.equal(logged(/new requests are refused/), 1);
    await eventually(() => logged(/requests are taken again/) === 1, 'it says that it is over');
    assert.equal(await metric(gateway.port, 'slipstream_journal_dropped_total'), 1);
    assert.equal(gateway.journal().length, 1);
  });

  it('drop, by max_bytes: requests are served, their events counted; segments stay; told once', async () => {
    await start({ maxBytes: 1500, maxSegmentBytes: 4096 });
    const some = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n += 1)
        assert.equal((await ask(gateway.port, { key: TEST_KEY, body: BODY })).status, 200);
    };
    const dropped = (): Promise<number> => metric(gateway.port, 'slipstream_journal_dropped_total');
    // How many fit depends on how long their numbers are.
    await some(4);
    // Looked at ten times a second, on a machine that has the time.
    for (let tries = 0; (await dropped()) === 0; tries += 1) {
      assert.ok(tries < 500, 'it is not noticed');
      await sleep(10);
      await some(1);
    }
    await eventually(() => logged(/has reached max_bytes/) === 1, 'it says so');
    const [kept, before] = [gateway.journal().length, await dropped()];
    await some(5);
    assert.equal(await dropped(), before + 5);
    assert.equal(gateway.journal().length, kept);
    assert.ok((await metric(gateway.port, 'slipstream_journal_bytes')) >= 1500);
    assert.equal(logged(/has reached max_bytes/), 1);
    gateway.send({
      type: 'snapshot',
      snapshot: snapshotOf([deployment('gpt', upstream.port)], {
        settings: { journal: { ...DEFAULT_JOURNAL_SETTINGS, maxBytes: null } },
      }),
    });
    await eventually(() => logged(/below max_bytes again/) === 1, 'and that it is over');
    await some(1);
    assert.equal(gateway.journal().length, kept + 1);
  });
});

describe('a request that takes long', () => {
  it('has an open line, once, with what is known by then; its event follows', async () => {
    await start({ openAfterMs: 150 });
    const release = Promise.withResolvers<void>();
    upstream.script = async (_request, answer) => {
      answer.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n');
      const events = sse('{"choices":[{"delta":{"content":"a"}}]}', '{"choices":[{"delta":{"content":"b"}}]}');
      answer.write(`${Buffer.byteLength(events).toString(16)}\r\n${events}\r\n`);
      await release.promise;
      answer.end();
    };
    const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const client = new RawClient(gateway.port).send(
      chatBytes('gpt', ',"stream":true', { headers: [`traceparent: ${parent}`] }),
    );
    await eventually(() => gateway.journalText().includes('"open"'), 'there is an open line');
    await sleep(250);
    const report = auditJournal(gateway.dataDirectory);
    assert.deepEqual([report.openLines, report.inProgress, report.lost, report.problemCount], [1, 1, 0, 0]);
    const open = JSON.parse(gateway.journalText()) as Record<string, unknown>;
    assert.equal(open['streamEvents'], 2);
    assert.equal(open['traceId'], '0af7651916cd43dd8448eb211c80319c');
    assert.equal(open['spanId'], 'b7ad6b7169203331');
    assert.equal(open['status'], 200);
    assert.ok(upstream.last.lines.includes(`traceparent: ${parent}`), 'passed on as it came');

    client.close();
    await eventually(() => gateway.journalText().includes('"client_gone"'), 'there is its event');
    release.resolve();
    const event = gateway.journal().at(-1)!;
    assert.equal(event.id, open['open']);
    assert.equal(event.usageSource, 'estimated');
    assert.equal(event.usage?.outputTokens, 2);
    const after = auditJournal(gateway.dataDirectory);
    assert.deepEqual([after.openLines, after.inProgress, after.events, after.aborted], [1, 0, 1, 1]);
    assert.equal(await metric(gateway.port, 'slipstream_journal_open_lines_total'), 1);
    assert.equal(await metric(gateway.port, 'slipstream_journal_lines_total'), 1, 'an open line is no event');
  });
});

describe('the process that writes', () => {
  it('is known by a lock while it lives', async () => {
    await start({});
    await ask(gateway.port, { key: TEST_KEY, body: BODY });
    const writers = `${gateway.dataDirectory}/writers`;
    const names = fs.readdirSync(writers);
    assert.equal(names.length, 1);
    assert.ok(isProcessLockHeld(`${writers}/${names[0]}`));
    const [segment] = fs.readdirSync(`${gateway.dataDirectory}/journal`);
    assert.ok(segment?.startsWith(names[0]!.replace('.lock', '-0.1-')));
    assert.equal(auditJournal(gateway.dataDirectory).livingProcesses, 1);
    const { dataDirectory } = gateway;
    await gateway.stop({ keepData: true });
    assert.deepEqual(fs.readdirSync(writers), []);
    fs.rmSync(dataDirectory, { recursive: true });
    await start({});
  });
});
