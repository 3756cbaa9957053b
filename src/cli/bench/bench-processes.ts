import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BenchChild, BenchError, findFreePort } from './child-process.ts';
import type { Cleanup } from './cleanup.ts';
import { gatewayConfig, type GatewayConfig } from './gateway-config.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const MOCK_PROCESS = fileURLToPath(new URL('../mock/mock-process.ts', import.meta.url));
const HAPROXY = 'haproxy';
const HAPROXY_CONFIG = join(ROOT, 'bench', 'haproxy', 'overhead.cfg');
const HAPROXY_TLS_CONFIG = join(ROOT, 'bench', 'haproxy', 'overhead-tls.cfg');
const START_TIMEOUT_MS = 30_000;

/** A started server: its address and its first process. */
export interface BenchServer {
  readonly child: BenchChild;
  readonly port: number;
}

/** @param flags more flags of `slipstream mock`. */
export async function startMockProcess(
  flags: readonly string[],
  cpus: string | null,
  cleanup: Cleanup,
): Promise<BenchServer> {
  const child = new BenchChild('mock', [process.execPath, MOCK_PROCESS, '--port', '0', ...flags], { cpus, ipc: true });
  cleanup.add(() => child.stop());
  let port = 0;
  await child.waitUntil(() => {
    port = Number(/listening on https?:\/\/[^\s]*:(\d+)$/m.exec(child.output)?.[1] ?? 0);
    return port > 0;
  }, START_TIMEOUT_MS);
  return { child, port };
}

/** First line of `haproxy -v`. @throws {BenchError} when there is none to run. */
export function haproxyVersion(): string {
  const result = spawnSync(HAPROXY, ['-v'], { encoding: 'utf8' });
  if (result.status !== 0) throw new BenchError('--against haproxy: no haproxy found on the PATH');
  if (!existsSync(HAPROXY_CONFIG)) throw new BenchError(`--against haproxy needs ${HAPROXY_CONFIG} of the repository`);
  return result.stdout.split('\n')[0] ?? '';
}

export async function startHaproxy(
  name: string,
  mock: { readonly port: number; readonly isTls: boolean },
  cpus: string | null,
  cleanup: Cleanup,
): Promise<BenchServer> {
  const port = await findFreePort();
  const child = new BenchChild(name, [HAPROXY, '-db', '-f', mock.isTls ? HAPROXY_TLS_CONFIG : HAPROXY_CONFIG], {
    cpus,
    env: { BENCH_LISTEN_PORT: String(port), BENCH_MOCK_PORT: String(mock.port) },
  });
  cleanup.add(() => child.stop());
  await child.waitUntil(() => acceptsConnections(port), START_TIMEOUT_MS);
  return { child, port };
}

export interface GatewayOptions {
  readonly mockPort: number;
  /** The mock speaks TLS. */
  readonly isTls: boolean;
  /** Top folder of the version to be started; default this one. */
  readonly root?: string;
  readonly threads: number | null;
  readonly withSidecar: boolean;
  readonly cpus: string | null;
  /** Virtual keys in the configuration; one of them is used. */
  readonly keyCount: number;
}

/** A gateway's configuration and data directory, for one or more starts. */
export class GatewayInstallation {
  readonly config: GatewayConfig;
  readonly port: number;
  readonly directory: string;
  readonly #options: GatewayOptions;

  private constructor(options: GatewayOptions, port: number) {
    this.#options = options;
    this.port = port;
    this.config = gatewayConfig(options);
    this.directory = mkdtempSync(join(tmpdir(), 'slipstream-bench-'));
    mkdirSync(join(this.directory, 'data'), { mode: 0o700 });
    writeFileSync(join(this.directory, 'config.yaml'), this.config.yaml, { mode: 0o600 });
  }

  static async create(options: GatewayOptions, cleanup: Cleanup): Promise<GatewayInstallation> {
    const installation = new GatewayInstallation(options, await findFreePort());
    cleanup.add(() => rmSync(installation.directory, { recursive: true, force: true }));
    return installation;
  }

  /** Spawns the launcher; answers at once, before it is ready. */
  spawn(cleanup: Cleanup): BenchChild {
    const files = ['--config', join(this.directory, 'config.yaml'), '--data-dir', join(this.directory, 'data')];
    const launcher = join(this.#options.root ?? ROOT, 'bin', 'slipstream.js');
    const command = [process.execPath, launcher, 'start', ...files, '--host', '127.0.0.1', '--port', String(this.port)];
    if (!this.#options.withSidecar) command.push('--no-sidecar');
    const child = new BenchChild('gateway', command, { cpus: this.#options.cpus });
    cleanup.add(() => child.stop());
    return child;
  }

  /** Spawns it and waits for /health/readiness. */
  async start(cleanup: Cleanup): Promise<BenchServer> {
    const child = this.spawn(cleanup);
    await child.waitUntil(() => isReady(this.port), START_TIMEOUT_MS);
    return { child, port: this.port };
  }
}

async function isReady(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/health/readiness', agent: false }, (reply) => {
      reply.resume();
      resolve(reply.statusCode === 200);
    });
    request.on('error', () => resolve(false));
  });
}

async function acceptsConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
