// Nanoseconds per acquire + release of an idle connection and per tick; CPU per exchange over 32 connections, read
// through the worker's slab and by 'data' events. The peer is another process, so that only our side is counted.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Bytes } from '../../src/base/bytes.ts';
import type { OriginSpec } from '../../src/contract/snapshot.ts';
import { DEFAULT_LIMITS } from '../../src/http1/limits.ts';
import type { UpstreamConnection, UpstreamOwner } from '../../src/sidecar/upstream/upstream-connection.ts';
import type { UpstreamPool } from '../../src/sidecar/upstream/upstream-pool.ts';
import { UpstreamPools } from '../../src/sidecar/upstream/upstream-pools.ts';
import { report } from './http1-median-time.ts';

const CONNECTIONS = 32;
const ROUNDS = 5;
const ROUND_MS = 400;
const REQUEST = 'x'.repeat(300);
/** Reads reply sizes from its argument, answers each read with that many bytes, ends with its stdin. */
const PEER = `
  const reply = Buffer.alloc(Number(process.argv[1]), 97);
  const server = require('node:net').createServer({ noDelay: true }, (socket) => {
    socket.on('data', () => socket.write(reply)).on('error', () => {});
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
  process.stdin.on('end', () => process.exit()).resume();`;

class Exchanger implements UpstreamOwner {
  readonly pool: UpstreamPool;
  readonly replyBytes: number;
  connection: UpstreamConnection | null = null;
  received: number = 0;
  done: number = 0;
  isStopped: boolean = false;

  constructor(pool: UpstreamPool, replyBytes: number) {
    this.pool = pool;
    this.replyBytes = replyBytes;
  }
  next(): void {
    if (this.isStopped) return;
    const connection = this.pool.acquire(this, 0);
    if (connection !== null) this.onUpstreamConnected(connection);
  }
  onUpstreamConnected(connection: UpstreamConnection): void {
    this.connection = connection;
    connection.write(REQUEST);
  }
  onUpstreamData(chunk: Bytes): void {
    this.received += chunk.length;
    if (this.received < this.replyBytes) return;
    this.received = 0;
    this.done++;
    this.connection?.release(null);
    this.next();
  }
  onUpstreamConnectFailed(): void {}
  onUpstreamDrain(): void {}
  onUpstreamClosed(): void {}
}

function startPools(): UpstreamPools {
  return new UpstreamPools({
    connectTimeoutMs: 5000,
    poolWaitMs: 5000,
    idleTimeoutMs: 60_000,
    parserLimits: DEFAULT_LIMITS,
  });
}

function originOn(port: number): OriginSpec {
  return {
    scheme: 'http',
    host: '127.0.0.1',
    port,
    socketPath: null,
    proxyUrl: null,
    maxConnections: CONNECTIONS,
    tls: { verify: true, caPem: null, certPem: null, keyPem: null, serverName: null },
  };
}

async function withPeer(replyBytes: number, run: (port: number) => Promise<void>): Promise<void> {
  const peer = spawn(process.execPath, ['-e', PEER, String(replyBytes)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(peer.stdout, 'data')) as [Buffer];
  await run(Number(line.toString()));
  peer.stdin.end();
  await once(peer, 'exit');
}

/** CPU µs of this process per exchange, median of rounds. */
async function cpuPerExchange(count: () => number): Promise<string> {
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = { cpu: process.cpuUsage(), count: count() };
    await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
    const { user, system } = process.cpuUsage(before.cpu);
    rounds.push((user + system) / (count() - before.count));
  }
  return (rounds.toSorted((a, b) => a - b)[ROUNDS >> 1] ?? Number.NaN).toFixed(2);
}

async function measurePool(port: number, replyBytes: number): Promise<string> {
  const pools = startPools();
  const pool = pools.poolFor(originOn(port));
  const exchangers = Array.from({ length: CONNECTIONS }, () => new Exchanger(pool, replyBytes));
  for (const exchanger of exchangers) exchanger.next();
  const result = await cpuPerExchange(() => exchangers.reduce((sum, { done }) => sum + done, 0));
  for (const exchanger of exchangers) exchanger.isStopped = true;
  pools.closeAll();
  return result;
}

/** The same exchange on bare sockets, without pool and parser. */
async function measureDataEvents(port: number, replyBytes: number): Promise<string> {
  let done = 0;
  const sockets: Socket[] = [];
  for (let i = 0; i < CONNECTIONS; i++) {
    let received = 0;
    const socket = connect({ host: '127.0.0.1', port, noDelay: true, autoSelectFamily: false });
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (received < replyBytes) return;
      received = 0;
      done++;
      socket.write(REQUEST, 'latin1');
    });
    socket.on('connect', () => socket.write(REQUEST, 'latin1'));
    sockets.push(socket);
  }
  const result = await cpuPerExchange(() => done);
  for (const socket of sockets) socket.destroy();
  return result;
}

await withPeer(600, async (port) => {
  const pools = startPools();
  const pool = pools.poolFor(originOn(port));
  const owners = Array.from({ length: CONNECTIONS }, () => new Exchanger(pool, 600));
  for (const owner of owners) owner.next();
  while (owners.some(({ done }) => done === 0)) await new Promise((resolve) => setTimeout(resolve, 5));
  for (const owner of owners) owner.isStopped = true;
  while (pool.stats().idle < CONNECTIONS) await new Promise((resolve) => setTimeout(resolve, 5));
  const owner = new Exchanger(pool, 600);
  report('acquire + release, 32 idle', () => pool.acquire(owner, 0)?.release(null));
  report('tick, 32 idle', () => pools.tick(1));
  pools.closeAll();
});
for (const replyBytes of [600, 16_000, 200_000]) {
  await withPeer(replyBytes, async (port) => {
    const pooled = await measurePool(port, replyBytes);
    const bare = await measureDataEvents(port, replyBytes);
    console.log(
      `${String(replyBytes).padStart(7)}-byte replies: pool, read through the slab ${pooled} µs CPU per exchange; ` +
        `bare sockets, 'data' events ${bare} µs`,
    );
  });
}
