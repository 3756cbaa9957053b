import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTROL_PROTOCOL, type ToControl, type ToSidecar } from '../../src/contract/control-messages.ts';
import { encodeFrame, FrameDecoder } from '../../src/contract/frame-codec.ts';
import { buildKeyDirectory } from '../../src/contract/key-directory.ts';
import { BARE_KEY_RECORD, type KeyRecord, type LimitSpec } from '../../src/contract/key-record.ts';
import {
  DEFAULT_BUDGET_SETTINGS,
  DEFAULT_JOURNAL_SETTINGS,
  SNAPSHOT_FORMAT,
  type DeploymentSpec,
  type FailureSettings,
  type RoutingSettings,
  type Snapshot,
} from '../../src/contract/snapshot.ts';
import { NO_COUNTS } from '../../src/domain/routing/error-class-counts.ts';
import { TIMEOUTS, type TimeoutName } from '../../src/contract/timeouts.ts';
import type { UsageEvent } from '../../src/contract/usage-event.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import type { SidecarListener } from '../../src/sidecar/listeners.ts';
import type { RunningSidecar } from '../../src/sidecar/sidecar-main.ts';

export const MASTER_KEY = 'sk-master-0123456789abcdef';
export const TEST_KEY = 'sk-test-0123456789abcdef';

export function keyRecord(key: string, rest: Partial<KeyRecord> = {}): KeyRecord {
  return { ...BARE_KEY_RECORD, hash: sha256(key), ...rest };
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Routing as it is when nothing is configured. */
export const ROUTING: RoutingSettings = {
  strategy: { name: 'simple-shuffle', latencyTtlMs: 3_600_000, latencyBuffer: 0 },
  groupStrategies: {},
  tagFiltering: 'off',
  affinity: { session: false, key: false, prefixBytes: 0, prefixSpill: 1.5 },
};

/** A deployment of `groupName` at 127.0.0.1:`port`. */
export function deployment(groupName: string, port: number, rest: Partial<DeploymentSpec> = {}): DeploymentSpec {
  return {
    id: `${groupName}-${port}`,
    groupName,
    family: 'openai',
    provider: 'openai',
    upstreamModel: `upstream-${groupName}`,
    origin: {
      scheme: 'http',
      host: '127.0.0.1',
      port,
      socketPath: null,
      tls: { verify: true, caPem: null, certPem: null, keyPem: null, serverName: null },
      proxyUrl: null,
      maxConnections: 1000,
    },
    basePath: '/v1',
    query: '',
    headers: [['authorization', 'Bearer sk-provider-secret']],
    defaultHeaders: [],
    weight: 1,
    order: 0,
    rpm: null,
    tpm: null,
    tags: [],
    tagPatterns: [],
    limits: null,
    timeoutMs: null,
    streamTimeoutMs: null,
    injectsUsage: true,
    price: null,
    modelPrices: null,
    cooldownMs: null,
    healthCheck: { mode: 'chat', model: null, timeoutMs: 60_000, maxTokens: 5, isBackgroundOff: false },
    ...rest,
  };
}

export type SnapshotParts = Partial<Omit<Snapshot, 'settings'>> & {
  readonly settings?: Partial<Omit<Snapshot['settings'], 'timeouts' | 'limits'>>;
  readonly limits?: Partial<Snapshot['settings']['limits']>;
  readonly timeouts?: Partial<Record<TimeoutName, number>>;
  /** By group. */
  readonly groupLimits?: Readonly<Record<string, LimitSpec>>;
};

/** A snapshot of `deployments`, grouped by their `groupName`. */
export function snapshotOf(deployments: readonly DeploymentSpec[], parts: SnapshotParts = {}): Snapshot {
  const names = [...new Set(deployments.map((entry) => entry.groupName))];
  const { settings, timeouts, limits, groupLimits, ...rest } = parts;
  const group = (name: string) => ({
    name,
    deploymentIds: deployments.filter((entry) => entry.groupName === name).map((entry) => entry.id),
    limits: groupLimits?.[name] ?? null,
  });
  const defaults = Object.fromEntries(Object.entries(TIMEOUTS).map(([name, spec]) => [name, spec.defaultMs]));
  return {
    format: SNAPSHOT_FORMAT,
    version: `test-${Math.random()}`,
    createdAtMs: Date.now(),
    deployments,
    groups: names.filter((name) => !name.includes('*')).map(group),
    wildcards: names.filter((name) => name.includes('*')).map(group),
    aliases: {},
    fallbacks: {},
    defaultFallbacks: [],
    contextWindowFallbacks: null,
    contentPolicyFallbacks: null,
    groupRetryPolicies: {},
    settings: {
      threads: 1,
      timeouts: { ...defaults, ...timeouts } as Snapshot['settings']['timeouts'],
      limits: {
        maxHeadBytes: 32_768,
        maxHeaders: 128,
        maxBodyBytes: 100_000_000,
        maxJsonBodyBytes: 33_554_432,
        maxReplayBytes: 8_388_608,
        minBodyRate: 1024,
        maxInFlightBytes: null,
        maxInFlight: null,
        maxQueue: null,
        ...limits,
      },
      rateLimits: { windowMs: 60_000, tokenReservation: 'prompt', maxSubjects: 1024 },
      budgets: DEFAULT_BUDGET_SETTINGS,
      numRetries: 2,
      maxFallbacks: 5,
      routing: ROUTING,
      failure: failureSettings(),
      replyModel: 'requested',
      echoProviderHeaders: true,
      forwardClientHeaders: false,
      masterKeyHash: sha256(MASTER_KEY),
      keyHeaderName: null,
      metricsRequireKey: true,
      cors: { allowedOrigins: [], maxAgeMs: 600_000 },
      clientAddress: { trustedProxies: [], record: true },
      journal: DEFAULT_JOURNAL_SETTINGS,
      ...settings,
    },
    ...rest,
  };
}

/** Plain HTTP on any free port of 127.0.0.1. */
export const LOOPBACK: SidecarListener = {
  name: 'loopback',
  isUnix: false,
  isKept: false,
  tls: null,
  proxyProtocol: false,
  source: { host: '127.0.0.1', port: 0 },
};
/**
 * Nothing is benched and nothing waits: a test scripts its own failures. Those of benches, waits and budgets (failure-*.test.ts)
 * ask for what the product does by default with `productFailure`.
 */
function failureSettings(): FailureSettings {
  return productFailure({
    areCooldownsOff: true,
    backOff: { initialMs: 0, maxMs: 0, floorMs: 0 },
    retryBudget: { ratio: 100, floor: 1000 },
  });
}

/** As the configuration's defaults have it. */
export function productFailure(rest: Partial<FailureSettings> = {}): FailureSettings {
  return {
    cooldownMs: 5000,
    allowedFails: 3,
    allowedFailsPolicy: NO_COUNTS,
    areCooldownsOff: false,
    retryPolicy: NO_COUNTS,
    backOff: { initialMs: 250, maxMs: 8000, floorMs: 0 },
    retryBudget: { ratio: 0.2, floor: 10 },
    healthChecks: {
      inBackground: false,
      intervalMs: 300_000,
      steerRouting: false,
      ignoreTransient: false,
      prompt: 'Reply with OK.',
    },
    ...rest,
  };
}

export interface HarnessOptions {
  /** Default: `LOOPBACK` alone. */
  readonly listeners?: readonly SidecarListener[];
  readonly snapshot: Snapshot;
  readonly keys?: readonly KeyRecord[];
  /** false: unknown keys are asked of the (scripted) control plane. */
  readonly complete?: boolean;
  readonly onMessage?: (message: ToControl, send: (message: ToSidecar) => void) => void;
  /** What a sidecar is told after the handshake; as a rule the snapshot, then the key directory. */
  readonly greeting?: (snapshot: ToSidecar, keys: ToSidecar) => readonly ToSidecar[];
  /** That of an earlier harness, to start again where it stopped. */
  readonly dataDirectory?: string;
  readonly heartbeatIntervalMs?: number;
}

/** A sidecar in this process, with a scripted control plane at the other end of real sockets. */
export interface SidecarHarness {
  readonly port: number;
  readonly sidecar: RunningSidecar;
  readonly dataDirectory: string;
  readonly adminSocketPath: string;
  readonly logs: string[];
  /** What the control plane was told. */
  readonly messages: ToControl[];
  send(message: ToSidecar): void;
  /** A new key directory file; answers the message that announces it. */
  keyDirectory(keys: readonly KeyRecord[], sequence: number, complete?: boolean): ToSidecar;
  /** Every event in the journal so far. */
  journal(): UsageEvent[];
  /** The journal's text. */
  journalText(): string;
  /** The control plane goes away, as if killed. */
  stopControl(): Promise<void>;
  startControl(): Promise<void>;
  /** `keepData`: leaves the data directory for a next harness. */
  stop(options?: { readonly keepData?: boolean }): Promise<void>;
}

export async function startSidecar(options: HarnessOptions): Promise<SidecarHarness> {
  // Only here: the tests of whole gateways import this file too, and need none of those modules.
  const { runSidecar } = await import('../../src/sidecar/sidecar-main.ts');
  const dataDirectory = options.dataDirectory ?? mkdtempSync(join(tmpdir(), 'slipstream-test-'));
  const controlSocketPath = join(dataDirectory, 'control.sock');
  const adminSocketPath = join(dataDirectory, 'admin.sock');
  let directories = 0;
  const keyDirectory = (keys: readonly KeyRecord[], sequence: number, complete = true): ToSidecar => {
    directories += 1;
    const path = join(dataDirectory, `keys-${directories}`);
    writeFileSync(path, buildKeyDirectory(keys));
    return { type: 'key-directory', path, sequence, complete };
  };
  const snapshotMessage: ToSidecar = { type: 'snapshot', snapshot: options.snapshot };
  const keysMessage = keyDirectory(options.keys ?? [keyRecord(TEST_KEY)], 0, options.complete ?? true);
  const greeting = options.greeting?.(snapshotMessage, keysMessage) ?? [snapshotMessage, keysMessage];
  const sockets = new Set<Socket>();
  const messages: ToControl[] = [];
  const send = (message: ToSidecar): void => {
    for (const socket of sockets) socket.write(encodeFrame(message));
  };
  const newControl = (): Server =>
    createServer((socket) => {
      const decoder = new FrameDecoder<ToControl>();
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => undefined);
      socket.write(
        encodeFrame({ type: 'hello', protocol: CONTROL_PROTOCOL, role: 'control', pid: process.pid, version: 'test' }),
      );
      for (const message of greeting) socket.write(encodeFrame(message));
      socket.on('data', (chunk: Buffer) => {
        for (const message of decoder.push(chunk)) {
          messages.push(message);
          options.onMessage?.(message, send);
        }
      });
    });
  let control = newControl();
  await listen(control, controlSocketPath);
  const logs: string[] = [];
  const logger = createLogger({ level: 'debug', format: 'json', name: 'test', write: (line) => logs.push(line) });
  const sidecar = await runSidecar({
    dataDirectory,
    controlSocketPath,
    adminSocketPath,
    listeners: options.listeners ?? [LOOPBACK],
    logger,
    ...(options.heartbeatIntervalMs === undefined ? {} : { heartbeatIntervalMs: options.heartbeatIntervalMs }),
  });
  const stopControl = async (): Promise<void> => {
    const closed = new Promise((resolve) => control.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  const journalDirectory = join(dataDirectory, 'journal');
  return {
    port: sidecar.port,
    sidecar,
    dataDirectory,
    adminSocketPath,
    logs,
    messages,
    send,
    keyDirectory,
    journal: () => readJournal(journalDirectory),
    journalText: () => readJournalText(journalDirectory),
    stopControl,
    startControl: async () => {
      control = newControl();
      await listen(control, controlSocketPath);
    },
    stop: async ({ keepData = false } = {}) => {
      await sidecar.beginDrain();
      await sidecar.finishDrain();
      if (control.listening) await stopControl();
      if (!keepData) rmSync(dataDirectory, { recursive: true, force: true });
    },
  };
}

/** Its events; lines that only say that a request goes on are left out. */
export function readJournal(directory: string): UsageEvent[] {
  return readJournalText(directory)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as UsageEvent)
    .filter((event) => 'id' in event);
}

export function readJournalText(directory: string): string {
  return readdirSync(directory)
    .sort()
    .map((name) => readFileSync(join(directory, name), 'utf8'))
    .join('');
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
}
