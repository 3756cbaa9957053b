import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { it } from 'node:test';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Bytes } from '../../src/base/bytes.ts';
import type { OriginSpec } from '../../src/contract/snapshot.ts';
import { DEFAULT_LIMITS } from '../../src/http1/limits.ts';
import type {
  UpstreamConnection,
  UpstreamFailure,
  UpstreamOwner,
} from '../../src/sidecar/upstream/upstream-connection.ts';
import type { UpstreamPool } from '../../src/sidecar/upstream/upstream-pool.ts';
import { UpstreamPools, type UpstreamPoolsOptions } from '../../src/sidecar/upstream/upstream-pools.ts';

/** For what should take milliseconds. */
const PATIENCE_MS = 15_000;

/** Where a test leaves what is to be done after it, last first. */
export interface TestScope {
  after(clean: () => void | Promise<void>): void;
}

/** A test that must leave no socket open, by the kernel's count: ours and the peers'. */
export function socketTest(name: string, run: (scope: TestScope) => Promise<void>): void {
  it(name, { timeout: 60_000 }, async () => {
    const before = openSocketCount();
    const cleaners: (() => void | Promise<void>)[] = [];
    const watchdog = setTimeout(() => waiting.forEach((owner) => owner.giveUp()), PATIENCE_MS);
    try {
      await run({ after: (clean) => void cleaners.push(clean) });
    } finally {
      clearTimeout(watchdog);
      waiting.clear();
      for (const clean of cleaners.toReversed()) await clean();
    }
    await eventually(() => openSocketCount() <= before, `${before} sockets open, as before the test`);
  });
}

export type OriginOverrides = Partial<Omit<OriginSpec, 'tls'>> & { readonly tls?: Partial<OriginSpec['tls']> };

export function origin(overrides: OriginOverrides = {}): OriginSpec {
  return {
    scheme: 'http',
    host: '127.0.0.1',
    port: 1,
    socketPath: null,
    proxyUrl: null,
    maxConnections: 100,
    ...overrides,
    tls: { verify: true, caPem: null, certPem: null, keyPem: null, serverName: null, ...overrides.tls },
  };
}

/** Owners whose next event a test waits for. */
const waiting = new Set<RecordingOwner>();

/** An attempt that records what it is told, in order. */
export class RecordingOwner implements UpstreamOwner {
  readonly events: string[] = [];
  readonly chunks: Bytes[] = [];
  connection: UpstreamConnection | null = null;
  failure: UpstreamFailure | null = null;
  #wake: PromiseWithResolvers<void> | null = null;

  onUpstreamConnected(connection: UpstreamConnection): void {
    assert.equal(connection.owner, this);
    this.connection = connection;
    this.#record('connected');
  }
  onUpstreamConnectFailed(failure: UpstreamFailure): void {
    this.failure = failure;
    this.#record('connect-failed');
  }
  onUpstreamData(chunk: Bytes): void {
    this.chunks.push(chunk);
    this.#record('data');
  }
  onUpstreamDrain(): void {
    this.#record('drain');
  }
  onUpstreamClosed(failure: UpstreamFailure | null): void {
    this.failure = failure;
    this.#record('closed');
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  /** Resolves when `isTrue`, looked at after each event. Makes no timer. */
  async until(isTrue: (owner: this) => boolean): Promise<void> {
    while (!isTrue(this)) {
      const woken = Promise.withResolvers<void>();
      this.#wake = woken;
      waiting.add(this);
      await woken.promise;
    }
  }

  giveUp(): void {
    const seen = this.events.join(', ') || 'none';
    this.#wake?.reject(new Error(`gave up waiting; events: ${seen} ${this.failure?.message ?? ''}`));
  }

  async gets(event: string): Promise<void> {
    await this.until(() => this.events.includes(event));
  }

  #record(event: string): void {
    this.events.push(event);
    waiting.delete(this);
    this.#wake?.resolve();
  }
}

/**
 * Pools that are ticked in real time, or only by the test if `isManual`, and a check that nothing is left of them after
 * it.
 */
export function startPools(
  test: TestScope,
  overrides: Partial<UpstreamPoolsOptions> = {},
  isManual = false,
): UpstreamPools {
  const pools = new UpstreamPools({
    connectTimeoutMs: 5000,
    poolWaitMs: 5000,
    idleTimeoutMs: 60_000,
    parserLimits: DEFAULT_LIMITS,
    ...overrides,
  });
  const ticker = isManual ? undefined : setInterval(() => pools.tick(performance.now()), 20);
  test.after(() => {
    clearInterval(ticker);
    pools.closeAll();
    for (const { idle, busy, connecting, waiting } of pools.stats()) {
      assert.deepEqual({ idle, busy, connecting, waiting }, { idle: 0, busy: 0, connecting: 0, waiting: 0 });
    }
  });
  return pools;
}

export interface Peer {
  readonly port: number;
  readonly server: Server;
  /** Accepted connections, in order, closed ones included; with TLS those whose handshake was completed. */
  readonly sockets: Socket[];
  /** The TCP connections below. */
  readonly accepted: Socket[];
}

/** A server that answers each read with `reply` (null: never) and counts its connections. */
export async function startPeer(
  test: TestScope,
  options: { reply?: string | null; host?: string; port?: number; onConnection?: (socket: Socket) => void } = {},
): Promise<Peer> {
  const { reply = 'pong', host = '127.0.0.1', port = 0, onConnection } = options;
  const server = createServer({ noDelay: true });
  return listen(test, server, { host, port }, (socket) => {
    if (onConnection !== undefined) onConnection(socket);
    else socket.on('data', () => reply !== null && socket.write(reply));
  });
}

export async function listen(
  test: TestScope,
  server: Server,
  where: { host: string; port: number } | { path: string },
  onConnection: (socket: Socket) => void,
  event = 'connection',
): Promise<Peer> {
  const sockets: Socket[] = [];
  const accepted: Socket[] = [];
  server.on('connection', (socket: Socket) => {
    accepted.push(socket);
    socket.on('error', () => {});
  });
  server.on(event, (socket: Socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  server.listen(where);
  await once(server, 'listening');
  test.after(async () => {
    for (const socket of accepted) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  const address = server.address();
  return { port: typeof address === 'object' ? (address?.port ?? 0) : 0, server, sockets, accepted };
}

/** Acquires and waits: a connection that is already `owner`'s. */
export async function connected(
  pool: UpstreamPool,
  owner: RecordingOwner = new RecordingOwner(),
): Promise<UpstreamConnection> {
  const connection = pool.acquire(owner, performance.now());
  if (connection !== null) {
    assert.equal(connection.owner, owner);
    owner.connection = connection;
    return connection;
  }
  await owner.until(() => owner.events.length > 0);
  assert.ok(owner.connection !== null, `not connected: ${owner.failure?.message}`);
  return owner.connection;
}

/** Acquires and waits for the refusal. */
export async function refused(pool: UpstreamPool): Promise<UpstreamFailure> {
  const owner = new RecordingOwner();
  assert.equal(pool.acquire(owner, performance.now()), null);
  await owner.gets('connect-failed');
  assert.deepEqual(owner.events, ['connect-failed']);
  assert.ok(owner.failure !== null);
  return owner.failure;
}

/** One request and one reply. */
export async function exchange(pool: UpstreamPool, request = 'ping', reply = 'pong'): Promise<UpstreamConnection> {
  const owner = new RecordingOwner();
  const connection = await connected(pool, owner);
  connection.write(request);
  await owner.until(() => owner.text.length >= reply.length);
  assert.equal(owner.text, reply);
  return connection;
}

/** Waits until `isTrue`; fails when it takes too long. */
export async function eventually(isTrue: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!isTrue()) {
    if (performance.now() > deadlineMs) assert.fail(`never: ${what}`);
    await sleep(5);
  }
}

/** Lets everything happen that is ready to. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await nextTurn();
}

/** Sockets this process holds, by /proc: what Node itself has lost track of is counted too. */
function openSocketCount(): number {
  let count = 0;
  for (const descriptor of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${descriptor}`).startsWith('socket:')) count++;
    } catch {
      // The descriptor of the listing itself.
    }
  }
  return count;
}
