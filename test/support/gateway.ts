import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { UsageEvent } from '../../src/contract/usage-event.ts';
import { readJournal } from './sidecar-harness.ts';

const LAUNCHER = join(import.meta.dirname, '../../bin/slipstream.js');

/** How long a start may take beside whatever else the machine does; only what hangs waits so long. */
const PATIENCE_MS = 90_000;

/** Both ways to run: every integration test runs in each. */
export const MODES = ['sidecar', 'no-sidecar'] as const;
export type Mode = (typeof MODES)[number];

export interface GatewayOptions {
  readonly mode: Mode;
  /** YAML text. */
  readonly config: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Of an earlier gateway, to start again where it stopped. */
  readonly directory?: string;
  readonly port?: number;
}

/** A gateway as users run it: real processes, real sockets, a data directory of its own. */
export interface Gateway {
  readonly url: string;
  readonly port: number;
  readonly process: ChildProcess;
  /** Holds the data directory and the configuration. */
  readonly directory: string;
  readonly dataDirectory: string;
  readonly configPath: string;
  /** Everything it printed. */
  output(): string;
  journal(): UsageEvent[];
  /** SIGTERM; resolves with the exit code. `keepData`: leaves the directory. */
  stop(options?: { readonly keepData?: boolean }): Promise<number | null>;
}

export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'slipstream-it-'));
  const configPath = join(directory, 'config.yaml');
  const dataDirectory = join(directory, 'data');
  writeFileSync(configPath, options.config);
  const address = ['--host', '127.0.0.1', '--port', String(options.port ?? 0)];
  const args = ['start', '--config', configPath, ...address, '--data-dir', dataDirectory];
  if (options.mode === 'no-sidecar') args.push('--no-sidecar');
  const child = spawn(process.execPath, [LAUNCHER, ...args, ...(options.args ?? [])], {
    // Tests look at the journal after everything is over; the gateway deletes what it has ingested.
    env: { ...process.env, SLIPSTREAM_JOURNAL_KEEP: '86400', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const url = await Promise.race([
    // SQLite opens soon after the rest has started; a database that a test names may never do.
    waitForUrl(() => output, options.env?.['DATABASE_URL'] === undefined),
    exited.then((code) => Promise.reject(new Error(`the gateway ended with ${code}:\n${output}`))),
  ]);
  return {
    url,
    port: Number(new URL(url).port),
    process: child,
    directory,
    dataDirectory,
    configPath,
    output: () => output,
    journal: () => readJournal(join(dataDirectory, 'journal')),
    stop: async ({ keepData = false } = {}) => {
      child.kill('SIGTERM');
      const code = await exited;
      if (!keepData) rmSync(directory, { recursive: true, force: true });
      return code;
    },
  };
}

async function waitForUrl(output: () => string, hasStore: boolean): Promise<string> {
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 20) {
    const found = /http:\/\/127\.0\.0\.1:\d+/.exec(output());
    // A sidecar that waited for 1 s for the control plane serves by what is on disk: then unknown keys are a 503.
    const isLinked = output().includes('control plane connected');
    // Until the store is open nobody knows that a key is unknown: that is a 503, too.
    const isOpen = !hasStore || output().includes('"store open"');
    if (found !== null && isLinked && isOpen && (await isReady(found[0]))) return found[0];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`the gateway was not ready in ${PATIENCE_MS / 1000} s:\n${output()}`);
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health/readiness`, { headers: { connection: 'close' } });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false; // not listening yet
  }
}
