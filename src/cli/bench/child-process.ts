import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

/** What went wrong is outside this program: a missing command, a child that does not start. One line says it. */
export class BenchError extends Error {
  override readonly name = 'BenchError';
}

export interface StartOptions {
  /** CPUs for taskset, such as `0` or `0-1`; null = any. */
  readonly cpus: string | null;
  /** With a channel to this process, by which a child notices that we are gone. */
  readonly ipc?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

const KEPT_OUTPUT = 4000;
const STOP_TIMEOUT_MS = 10_000;

/** A child whose output is kept for the case that it fails. */
export class BenchChild {
  readonly process: ChildProcess;
  readonly name: string;
  readonly #closed: Promise<void>;
  #output = '';

  constructor(name: string, command: readonly string[], options: StartOptions) {
    this.name = name;
    const [file = '', ...args] = options.cpus === null ? command : ['taskset', '-c', options.cpus, ...command];
    const stdio: StdioOptions = options.ipc === true ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'];
    this.process = spawn(file, args, { stdio, env: { ...process.env, ...options.env } });
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString('utf8')).slice(-KEPT_OUTPUT);
    };
    this.process.stdout?.on('data', keep);
    this.process.stderr?.on('data', keep);
    this.#closed = new Promise((resolve) => {
      this.process.once('error', (error) => {
        this.#output += error.message;
        resolve();
      });
      this.process.once('close', () => resolve());
    });
  }

  get pid(): number {
    return this.process.pid ?? -1;
  }

  get isRunning(): boolean {
    return this.process.pid !== undefined && this.process.exitCode === null && this.process.signalCode === null;
  }

  /** The last it printed. */
  get output(): string {
    return this.#output.trim();
  }

  /** @throws {BenchError} when the child ends, or `timeoutMs` passes, before `isReady`. */
  async waitUntil(isReady: () => Promise<boolean> | boolean, timeoutMs: number): Promise<void> {
    const endAt = performance.now() + timeoutMs;
    while (!(await isReady())) {
      if (!this.isRunning) throw new BenchError(`${this.name} did not start: ${this.output || 'no output'}`);
      if (performance.now() > endAt) {
        throw new BenchError(`${this.name} was not ready after ${timeoutMs / 1000} s: ${this.output || 'no output'}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** SIGTERM, and SIGKILL when that does not help. */
  async stop(): Promise<void> {
    if (!this.isRunning) return;
    this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.#closed;
    clearTimeout(timer);
  }
}

/** A port that was free a moment ago, for programs that can't say which one they got. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
