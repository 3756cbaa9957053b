import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs, { readdirSync, readFileSync, statSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { DEFAULT_JOURNAL_SETTINGS } from '../../src/contract/snapshot.ts';
import type { UsageEvent } from '../../src/contract/usage-event.ts';
import type { WatchTask, Watched } from '../support/journal-watching-client.ts';
import {
  deployment,
  keyRecord,
  MASTER_KEY,
  snapshotOf,
  startSidecar,
  TEST_KEY,
  type SidecarHarness,
} from '../support/sidecar-harness.ts';
import { ask, RawClient, requestBytes } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream, sse } from '../support/scripted-upstream.ts';

const BODY = '{"model":"gpt"}';
/** How long a write to the journal is held up: far longer than a client needs to notice that it was not waited for. */
const STALL_MS = 40;

const realWriteSync = fs.writeSync;
/** Replaces write(2) for journal lines; everything else is written as ever. */
function onJournalWrite(write: (fd: number, data: Buffer) => number): void {
  fs.writeSync = (fd: number, data: unknown, ...rest: unknown[]): number => {
    const isJournal = Buffer.isBuffer(data) && data.includes('"requestBytes"');
    return isJournal ? write(fd, data) : (realWriteSync as (...args: unknown[]) => number)(fd, data, ...rest);
  };
  syncBuiltinESMExports();
}

let upstream: ScriptedUpstream;
let gateway: SidecarHarness;
let directory: string;

before(async () => {
  upstream = await ScriptedUpstream.start(() => undefined);
});
beforeEach(async () => {
  upstream.script = (_request, answer) => {
    answer.write(jsonReply('{}'));
  };
  gateway = await startSidecar({
    snapshot: snapshotOf([deployment('gpt', upstream.port)], {
      settings: { journal: { ...DEFAULT_JOURNAL_SETTINGS, maxSegmentBytes: 4000 } },
    }),
    keys: [keyRecord(TEST_KEY), keyRecord('sk-limited', { models: ['other'] })],
  });
  directory = join(gateway.dataDirectory, 'journal');
});
afterEach(async () => {
  fs.writeSync = realWriteSync;
  syncBuiltinESMExports();
  await gateway.stop();
});
after(() => {
  upstream.stop();
});

const segments = (): string[] => readdirSync(directory).sort();

async function metric(name: string): Promise<number> {
  const { text } = await ask(gateway.port, { method: 'GET', path: '/metrics', key: MASTER_KEY });
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.split(' ')[1],
  );
}

describe('the line of a request', () => {
  it('is on disk before the last byte of the answer leaves, whatever its framing', async () => {
    const events = sse('{"model":"gpt","choices":[{"delta":{}}]}', '[DONE]');
    const large = `{"x":"${'y'.repeat(150_000)}"}`;
    upstream.script = async (request, answer) => {
      if (request.body.includes('"stream":true')) {
        answer.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n');
        for (const event of events.split(/(?<=\n\n)/)) {
          answer.write(event);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        answer.end();
      } else if (request.body.includes('large')) {
        answer.write(jsonReply(large));
      } else {
        answer.write(jsonReply('{}'));
      }
    };
    const plain = requestBytes({ key: TEST_KEY, body: BODY }).toString('latin1');
    const stream = requestBytes({ key: TEST_KEY, body: '{"model":"gpt","stream":true}' }).toString('latin1');
    const task: WatchTask = {
      port: gateway.port,
      journalDirectory: directory,
      requests: [
        plain,
        stream,
        stream.replace('HTTP/1.1', 'HTTP/1.0'),
        requestBytes({ key: TEST_KEY, body: '{"model":"gpt","large":1}' }).toString('latin1'),
        requestBytes({ key: TEST_KEY, body: '{"model":"nothing"}' }).toString('latin1'),
        requestBytes({ key: 'sk-limited', body: BODY }).toString('latin1'),
      ],
    };
    onJournalWrite((fd, data) => {
      // This thread, and with it the whole gateway, stands still; the client's does not.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STALL_MS);
      return realWriteSync(fd, data);
    });
    const client = new Worker(new URL('../support/journal-watching-client.ts', import.meta.url), { workerData: task });
    const [results] = (await once(client, 'message')) as [Watched[]];
    await client.terminate();
    assert.deepEqual(
      results.map(({ status, framing, wasJournaled }) => [status, framing, wasJournaled]),
      [
        [200, 'length', true],
        [200, 'chunked', true],
        [200, 'close', true],
        [200, 'chunked', true],
        [400, 'length', true],
        [403, 'length', true],
      ],
    );
    assert.deepEqual(
      gateway.journal().map(({ id }) => id),
      results.map(({ id }) => id),
    );
  });

  it('those of one turn share a write', async () => {
    let writes = 0;
    onJournalWrite((fd, data) => {
      writes += 1;
      return realWriteSync(fd, data);
    });
    const clients = Array.from({ length: 10 }, () => new RawClient(gateway.port));
    const request = requestBytes({ key: TEST_KEY, body: BODY });
    await Promise.all(clients.map((client) => client.send(request).reply()));
    const before = writes;
    await Promise.all(clients.map((client) => client.send(request).reply()));
    for (const client of clients) client.close();
    assert.ok(writes - before < 10, `${writes - before} writes for 10 requests`);
    assert.equal(gateway.journal().length, 20);
  });
});

describe('segments', () => {
  it('are private, named by node, epoch and worker, and end at their size', async () => {
    for (let n = 0; n < 20; n += 1) await ask(gateway.port, { key: TEST_KEY, body: BODY });
    const names = segments();
    assert.ok(names.length > 1);
    const node = readFileSync(join(gateway.dataDirectory, 'node-id'), 'utf8').trim();
    for (const [index, name] of names.entries()) {
      assert.match(name, new RegExp(`^${node}-[0-9a-z]+-0\\.1-${String(index + 1).padStart(6, '0')}\\.ndjson$`));
      const { mode, size } = statSync(join(directory, name));
      assert.equal(mode & 0o777, 0o600);
      assert.ok(size < 4000 + 2000, String(size));
    }
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    assert.equal(gateway.journal().length, 20);
  });

  it('another start writes others', async () => {
    await ask(gateway.port, { key: TEST_KEY, body: BODY });
    const before = segments();
    await gateway.stop({ keepData: true });
    gateway = await startSidecar({
      snapshot: snapshotOf([deployment('gpt', upstream.port)]),
      dataDirectory: gateway.dataDirectory,
    });
    await ask(gateway.port, { key: TEST_KEY, body: BODY });
    assert.equal(segments().length, before.length + 1);
    assert.equal(new Set(gateway.journal().map(({ id }) => id)).size, 2);
  });
});

describe('a disk that fails', () => {
  const whole = (): UsageEvent[] =>
    segments().flatMap((name) => {
      const lines = readFileSync(join(directory, name), 'utf8').split('\n');
      // What a reader does: a last line without its newline was torn.
      return lines.slice(0, -1).map((line) => JSON.parse(line) as UsageEvent);
    });

  it('full: the answer goes out, the event is counted as dropped, and it recovers by itself', async () => {
    onJournalWrite(() => {
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    });
    for (let n = 0; n < 3; n += 1) assert.equal((await ask(gateway.port, { key: TEST_KEY, body: BODY })).status, 200);
    assert.equal(await metric('slipstream_journal_dropped_total'), 3);
    assert.equal(await metric('slipstream_journal_lines_total'), 0);
    onJournalWrite(realWriteSync);
    const reply = await ask(gateway.port, { key: TEST_KEY, body: BODY });
    assert.deepEqual(
      whole().map(({ id }) => id),
      [reply.header('x-slipstream-call-id')],
    );
    assert.equal(await metric('slipstream_journal_lines_total'), 1);
  });

  it('a short write: nothing is appended after it, no line is lost or twice', async () => {
    const request = requestBytes({ key: TEST_KEY, body: BODY });
    for (const part of [1, 200, 10_000]) {
      let isShort = true;
      onJournalWrite((fd, data) => {
        const size = isShort ? Math.min(part, data.length - 1) : data.length;
        isShort = false;
        return realWriteSync(fd, data, 0, size);
      });
      const clients = Array.from({ length: 5 }, () => new RawClient(gateway.port));
      await Promise.all(clients.map((client) => client.send(request).reply()));
      for (const client of clients) client.close();
    }
    const ids = whole().map(({ id }) => id);
    assert.equal(ids.length, 15);
    assert.equal(new Set(ids).size, 15);
    assert.equal(await metric('slipstream_journal_dropped_total'), 0);
    assert.equal(await metric('slipstream_journal_lines_total'), 15);
  });

  it('short twice: what got whole is counted as stored, the rest as dropped, none twice', async () => {
    const request = requestBytes({ key: TEST_KEY, body: BODY });
    onJournalWrite((fd, data) => realWriteSync(fd, data, 0, Math.min(data.length - 1, 900)));
    const clients = Array.from({ length: 5 }, () => new RawClient(gateway.port));
    await Promise.all(clients.map((client) => client.send(request).reply()));
    for (const client of clients) client.close();
    onJournalWrite(realWriteSync);
    await ask(gateway.port, { key: TEST_KEY, body: BODY });
    const ids = whole().map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    const lines = await metric('slipstream_journal_lines_total');
    const dropped = await metric('slipstream_journal_dropped_total');
    assert.equal(lines + dropped, 6);
    assert.equal(ids.length, lines, 'what is counted as stored is what is there');
  });
});
