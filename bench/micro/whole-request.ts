// What our own code costs per request, without the kernel: one worker, its clients and its provider in memory. Prints
// the best and the median of many short runs; the best is hardly touched by what else the machine does, so it shows
// changes of a few per cent. What counts in the end is `bench overhead`.
//   node bin/slipstream.js node -- bench/micro/whole-request.ts [seconds]
//   node bin/slipstream.js node -- --cpu-prof bench/micro/whole-request.ts      to see where it goes
import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asBytes } from '../../src/base/bytes.ts';
import { buildRequest } from '../../src/cli/bench/bench-request.ts';
import { gatewayConfig, PUBLIC_MODEL, UPSTREAM_MODEL } from '../../src/cli/bench/gateway-config.ts';
import { startMock } from '../../src/cli/mock/mock-server.ts';
import { buildKeyDirectory } from '../../src/contract/key-directory.ts';
import { compileConfig } from '../../src/control/config/compile-config.ts';
import { loadConfigSource } from '../../src/control/config/config-source.ts';
import { Findings } from '../../src/control/config/findings.ts';
import { foldDeclared } from '../../src/control/keys/read-key-records.ts';
import { DEFAULT_LIMITS } from '../../src/http1/limits.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { MetricsRegistry } from '../../src/runtime/metrics-registry.ts';
import { UpstreamConnection } from '../../src/sidecar/upstream/upstream-connection.ts';
import { newSharedMemory } from '../../src/sidecar/worker/shared-memory.ts';
import { Worker } from '../../src/sidecar/worker/worker.ts';

const CONNECTIONS = 32;
const TURNS_PER_RUN = 20;
const seconds = Number(process.argv[2] ?? 5);
const directory = mkdtempSync(join(tmpdir(), 'slipstream-micro-'));

/** A socket whose peer is this script. */
class MemorySocket extends EventEmitter {
  readonly remoteAddress: string = '127.0.0.1';
  readonly writableLength: number = 0;
  written: Uint8Array | null = null;
  write(bytes: Uint8Array): boolean {
    this.written = bytes;
    return true;
  }
  cork(): void {}
  uncork(): void {}
  resume(): void {}
  pause(): void {}
  setNoDelay(): void {}
  destroy(): void {
    throw new Error(`a connection was closed: ${String(this.written)}`);
  }
}

const { config, key } = readConfig();
const reply = await replyOfMock();
const { worker, clients, providers } = startWorker();
const request = buildRequest(
  { host: '127.0.0.1', port: 4000, basePath: '/v1', key, model: PUBLIC_MODEL },
  { bodyBytes: 300, body: 'prose', stream: false },
);
const requestBytes = Buffer.from(request.bytes, 'latin1');

turn();
const answer = Buffer.from(clients[0]!.written!).toString('latin1');
if (!answer.startsWith('HTTP/1.1 200 ') || !answer.includes(`"model":"${PUBLIC_MODEL}"`)) throw new Error(answer);

const runs: number[] = [];
for (const endMs = performance.now() + seconds * 1000; performance.now() < endMs;) {
  const startedMs = performance.now();
  for (let i = 0; i < TURNS_PER_RUN && !worker.journal.isPooled; i += 1) turn();
  // Held up by something else, the journal goes to the thread pool for a while: that run is not one.
  if (!worker.journal.isPooled) runs.push(((performance.now() - startedMs) * 1e6) / (TURNS_PER_RUN * CONNECTIONS));
  await new Promise((resolve) => setTimeout(resolve, worker.journal.isPooled ? 100 : 0));
}
runs.sort((a, b) => a - b);
const nanoseconds = (share: number): string => `${Math.round(runs[Math.floor(runs.length * share)]!)} ns`;
console.log(
  `per request: best ${nanoseconds(0)}, tenth ${nanoseconds(0.1)}, median ${nanoseconds(0.5)}; ${runs.length} runs`,
);
rmSync(directory, { recursive: true, force: true });
process.exit(0);

/** A request on every connection, from its bytes to the last byte of its answer. */
function turn(): void {
  for (const client of clients) client.emit('data', Buffer.from(requestBytes));
  for (const { connection } of providers) connection.receive(asBytes(Buffer.from(reply)));
  worker.journal.flush();
}

function readConfig() {
  const made = gatewayConfig({ mockPort: 1, isTls: false, threads: 1, keyCount: 10_000 });
  writeFileSync(join(directory, 'config.yaml'), made.yaml);
  const findings = new Findings();
  const source = loadConfigSource(join(directory, 'config.yaml'), {}, findings);
  return { config: compileConfig(source, {}, Date.now(), findings), key: made.key };
}

/** The bytes of a whole reply, head and body. */
async function replyOfMock(): Promise<Buffer> {
  const mock = await startMock();
  const url = new URL(mock.url);
  const { bytes } = buildRequest(
    { host: url.hostname, port: Number(url.port), basePath: '/v1', key, model: UPSTREAM_MODEL },
    { bodyBytes: 300, body: 'prose', stream: false },
  );
  const socket = connect(Number(url.port), url.hostname).end(bytes, 'latin1');
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  await mock.close();
  return Buffer.concat(chunks);
}

function startWorker() {
  const { snapshot, declared } = config;
  const worker = new Worker({
    host: {
      lookUpKey: () => undefined,
      renderMetrics: () => undefined,
      shareResponse: () => undefined,
      connectionsChanged: () => undefined,
    },
    listeners: [{ name: 'memory', isUnix: false, tls: null, proxyProtocol: false }],
    logger: createLogger({ level: 'info', format: 'json', name: 'micro' }),
    registry: new MetricsRegistry({ publish: () => undefined }),
    adminSocketPath: join(directory, 'admin.sock'),
    journalDirectory: join(directory, 'journal'),
    journalPrefix: 'micro.',
    shared: newSharedMemory(1, snapshot.settings.rateLimits),
  });
  worker.applySnapshot(snapshot);
  const keys = foldDeclared(declared, { users: new Map(), teams: new Map() });
  worker.loadKeys(buildKeyDirectory([...keys.values()]), 0, true);
  const providers = connectProviders(worker);
  const clients = Array.from({ length: CONNECTIONS }, () => {
    const client = new MemorySocket();
    worker.accept(client as unknown as Socket, 0);
    return client;
  });
  return { worker, clients, providers };
}

/** Puts connections in memory in the place of the pool's own. */
function connectProviders(worker: Worker) {
  const [deployment] = worker.snapshot!.deployments.values();
  const idle: UpstreamConnection[] = [];
  const home = {
    label: 'memory',
    onConnectionReleased: (connection: UpstreamConnection) => void idle.push(connection),
    onConnectionGone: () => undefined,
  };
  const providers = Array.from({ length: CONNECTIONS }, () => {
    const socket = new MemorySocket();
    return { socket, connection: new UpstreamConnection(socket as unknown as Socket, home, DEFAULT_LIMITS, false) };
  });
  for (const { connection } of providers) idle.push(connection);
  deployment!.pool.acquire = (owner) => {
    const connection = idle.pop() ?? null;
    connection?.take(owner);
    return connection;
  };
  return providers;
}
