import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { startMock, type RunningMock } from '../mock/mock-server.ts';
import { buildRequest } from './bench-request.ts';
import { LoadRun } from './load-run.ts';
import type { LoadResult, LoadSpec } from './load-spec.ts';
import { LoadTicker } from './load-ticker.ts';
import { probe } from './probe.ts';
import { closedPort } from '../../../test/support/closed-port.ts';

let mock: RunningMock;
let ticker: LoadTicker;
before(async () => {
  mock = await startMock({ replyBytes: 700 });
  ticker = new LoadTicker();
});
after(async () => {
  await mock.close();
  await ticker.close();
});

function spec(overrides: Partial<LoadSpec> & { model?: string }): LoadSpec {
  const { model = 'm', ...rest } = overrides;
  const port = rest.port ?? mock.port;
  const shape = { bodyBytes: 300, body: 'prose', stream: rest.isStream === true } as const;
  const request = buildRequest({ host: '127.0.0.1', port, basePath: '/v1', key: 'k', model }, shape);
  return {
    host: '127.0.0.1',
    port,
    tlsServerName: null,
    tlsVerify: true,
    request: request.bytes,
    nonceAt: request.nonceAt,
    connections: 4,
    qps: 200,
    seconds: 0.5,
    warmUpSeconds: 0,
    isStream: false,
    expectedBodyBytes: 700,
    timeoutMs: 5_000,
    cpuUsers: [],
    ...rest,
  };
}

async function run(overrides: Parameters<typeof spec>[0]): Promise<LoadResult> {
  return new LoadRun(spec(overrides), ticker).run();
}

/** A server that answers each request with what `reply` makes of it. */
async function withServer(
  reply: (request: string, socket: Socket, count: number) => void,
  use: (port: number) => Promise<void>,
): Promise<void> {
  let count = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => reply(chunk.toString('latin1'), socket, count++));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await use((server.address() as AddressInfo).port);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

describe('a load', () => {
  it('at a rate: as many requests as come due, each answered', async () => {
    const before = mock.requestCount();
    const result = await run({ cpuUsers: [process.pid] });
    assert.equal(result.scheduled, 100);
    assert.equal(result.completed, 100);
    assert.deepEqual(result.failures, {});
    assert.equal(mock.requestCount() - before, 100);
    assert.equal(result.latency.count, 100);
    assert.ok(result.latency.p50 <= result.latency.p99 && result.latency.p99 <= result.latency.max);
    assert.ok(Number(result.cpuSeconds[process.pid]) > 0);
  });

  it('as fast as it goes: every connection is always busy', async () => {
    const result = await run({ qps: 0, seconds: 0.3 });
    assert.ok(result.completed > 100);
    assert.deepEqual(result.failures, {});
    assert.equal(result.scheduled, result.completed);
  });

  it('sends nothing before its warm-up is over that counts', async () => {
    const before = mock.requestCount();
    const result = await run({ warmUpSeconds: 0.25 });
    assert.equal(result.latency.count, 100);
    assert.equal(mock.requestCount() - before, 150);
  });

  it('of streams: time to the first frame, and latency of each frame', async () => {
    const tokens = 8;
    const result = await run({
      isStream: true,
      expectedBodyBytes: null,
      qps: 50,
      model: `m?tokens=${tokens}&interval=2&bytes=0`,
    });
    assert.equal(result.completed, 25);
    assert.equal(result.firstFrame?.count, 25);
    assert.equal(result.frame?.count, 25 * (tokens + 2));
    assert.ok((result.firstFrame?.p50 ?? Number.POSITIVE_INFINITY) < result.latency.p50);
  });
});

describe('failures by kind', () => {
  const failing: readonly (readonly [name: string, overrides: Parameters<typeof spec>[0], kind: RegExp])[] = [
    ['a status', { model: 'm?status=503' }, /^status 503$/],
    ['another length', { expectedBodyBytes: 701 }, /^length$/],
    ['a reset', { model: 'm?error=reset' }, /^ECONNRESET$/],
    ['a close', { model: 'm?error=close' }, /^closed$/],
    ['a reply cut short', { model: 'm?error=close-mid' }, /^closed$/],
    ['no HTTP', { model: 'm?error=garbage' }, /^malformed reply$/],
    ['bytes after the reply', { model: 'm?error=bad-length' }, /^malformed reply$/],
    ['silence', { model: 'm?error=hang', timeoutMs: 100 }, /^(timeout|no connection)$/],
    [
      'a stream without its end',
      { model: 'm?error=error-first', isStream: true, expectedBodyBytes: null },
      /^cut stream$|^nonce$/,
    ],
  ];
  for (const [name, overrides, kind] of failing) {
    it(name, async () => {
      const result = await run({ qps: 40, seconds: 0.25, ...overrides });
      assert.equal(result.completed, 0);
      const kinds = Object.keys(result.failures);
      assert.ok(kinds.length > 0 && kinds.every((each) => kind.test(each)), kinds.join(', '));
      assert.equal(
        Object.values(result.failures).reduce((sum, count) => sum + count, 0),
        10,
      );
      assert.ok(result.failureNotes.length > 0);
    });
  }

  it('a reply that belongs to another request', async () => {
    const body = '{"id":"nonce-0000000000"}'.padEnd(700);
    const stale = `HTTP/1.1 200 OK\r\ncontent-length: 700\r\n\r\n${body}`;
    await withServer(
      (_, socket) => socket.write(stale),
      async (port) => assert.deepEqual((await run({ port, qps: 40, seconds: 0.25 })).failures, { nonce: 10 }),
    );
  });

  it('connections that close after each reply are made anew, and that is no failure', async () => {
    const answer = (request: string): string => {
      const body = (/nonce-\d+/.exec(request)?.[0] ?? '').padEnd(700);
      return `HTTP/1.1 200 OK\r\ncontent-length: 700\r\nconnection: close\r\n\r\n${body}`;
    };
    await withServer(
      (request, socket) => socket.end(answer(request)),
      async (port) => {
        const result = await run({ port, qps: 40, seconds: 0.25 });
        assert.deepEqual([result.completed, result.failures], [10, {}]);
      },
    );
  });

  it('an address that does not answer is an error at once', async () => {
    await assert.rejects(probe(spec({ port: await closedPort() })), /ECONNREFUSED/);
  });
});

describe('no coordinated omission', () => {
  it('a server that stands still once delays every request that came due meanwhile', async () => {
    const STALL_MS = 300;
    let stalledUntil = 0;
    const answer = (request: string): string => {
      const body = (/nonce-\d+/.exec(request)?.[0] ?? '').padEnd(700);
      return `HTTP/1.1 200 OK\r\ncontent-length: 700\r\n\r\n${body}`;
    };
    await withServer(
      (request, socket, count) => {
        if (count === 20) stalledUntil = performance.now() + STALL_MS;
        setTimeout(() => socket.write(answer(request)), Math.max(0, stalledUntil - performance.now()));
      },
      async (port) => {
        const qps = 200;
        const connections = 2;
        const result = await run({ port, qps, seconds: 1, connections });
        assert.equal(result.completed, qps);
        // Half of the stall or more: what came due in its first half. A closed loop would have seen `connections`.
        const slow = countAbove(result, (STALL_MS / 2) * 1e6);
        const expected = (qps * (STALL_MS / 2)) / 1000;
        assert.ok(slow >= expected * 0.8, `${slow} slow, expected about ${expected}`);
      },
    );
  });
});

function countAbove(result: LoadResult, ns: number): number {
  const histogram = decodeFromCompressedBase64(result.latencyHistogram, 32, false);
  const count = histogram.totalCount;
  let above = 0;
  while (above < count && histogram.getValueAtPercentile(100 * (1 - above / count)) > ns) above++;
  return above;
}
