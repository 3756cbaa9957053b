import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = resolve(import.meta.dirname, '../..');
const LAUNCHER = join(ROOT, 'bin', 'slipstream.js');
/** Each test has a data directory of its own; with a compile cache of its own too, every start would be a cold one. */
const COMPILE_CACHE = join(ROOT, 'node_modules', '.cache', 'slipstream-tests');
/** How long a start may take beside whatever else the machine does; only what hangs waits so long. */
const PATIENCE_MS = 90_000;

export interface StartOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Program and arguments before Node's. */
  readonly prefix?: readonly string[];
}

/** The program as a user starts it, with all that it prints and a clean end whatever the test does. */
export class SlipstreamProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  stdout = '';
  stderr = '';
  #hasExited = false;

  constructor(t: TestContext, command: readonly string[], options: StartOptions = {}) {
    const program = [...(options.prefix ?? []), process.execPath, LAUNCHER, ...command, ...(options.args ?? [])];
    this.child = spawn(program[0] ?? '', program.slice(1), {
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        NODE_COMPILE_CACHE: COMPILE_CACHE,
        SLIPSTREAM_JOURNAL_KEEP: '86400', // tests look at the journal afterwards
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.exited = new Promise((resolveExit) => {
      // `close`, not `exit`: by then everything that was printed has been read.
      this.child.once('close', (code, signal) => {
        this.#hasExited = true;
        resolveExit({ code, signal });
      });
    });
    t.after(async () => {
      for (const pid of this.#hasExited ? [] : this.childPids()) killIfThere(pid);
      this.child.kill('SIGKILL');
      await this.exited;
    });
  }

  get pid(): number {
    assert.ok(this.child.pid !== undefined);
    return this.child.pid;
  }

  /** Waits until standard output or standard error matches. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    return this.until(() => pattern.exec(this.stdout) ?? pattern.exec(this.stderr) ?? false, String(pattern));
  }

  /** Waits for the banner. @returns the URL. */
  async ready(): Promise<string> {
    return (await this.says(/ is ready: (http:\S+)/))[1] ?? '';
  }

  /** Polls until `probe` gives something; fails when the process ends first, unless that is what is waited for. */
  async until<Found>(probe: () => Found | false | Promise<Found | false>, what: string): Promise<Found> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const found = await probe();
      if (found !== false) return found;
      if (performance.now() > deadline || this.#hasExited) {
        const why = this.#hasExited ? 'the process ended' : 'time is up';
        assert.fail(`${why} before ${what}\n--- stdout\n${this.stdout}\n--- stderr\n${this.stderr}`);
      }
      await sleep(10);
    }
  }

  childPids(): number[] {
    return childrenOf(this.pid);
  }

  /** Pid of the child whose command line has ` control ` or ` sidecar `. */
  childNamed(name: 'control' | 'sidecar'): number | false {
    return this.childPids().find((pid) => commandLine(pid).includes(` ${name} `)) ?? false;
  }

  /** SIGTERM, then the exit code. */
  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return (await this.exited).code;
  }
}

export function makeDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'slipstream-process-'));
  t.after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}

export const MASTER_KEY = 'sk-master-0123456789abcdef';
export const PROVIDER_KEY = 'provider-secret-0123456789';

/** A configuration with two models at `mockUrl`: `m`, and `slow`, which answers after 1.2 s. @returns its path. */
export function writeConfig(directory: string, mockUrl: string, more = ''): string {
  const path = join(directory, 'config.yaml');
  writeFileSync(
    path,
    `model_list:
  - model_name: m
    litellm_params: { model: openai/mock, api_base: ${mockUrl}/v1, api_key: os.environ/TEST_PROVIDER_KEY }
  - model_name: slow
    litellm_params: { model: "openai/mock?ttft=1200", api_base: ${mockUrl}/v1, api_key: os.environ/TEST_PROVIDER_KEY }
general_settings: { master_key: os.environ/LITELLM_MASTER_KEY }
${more}`,
  );
  return path;
}

export const CONFIG_ENV = { LITELLM_MASTER_KEY: MASTER_KEY, TEST_PROVIDER_KEY: PROVIDER_KEY } as const;

export async function chat(
  url: string,
  options: { key?: string; model?: string; content?: string; signal?: AbortSignal } = {},
): Promise<{
  status: number;
  text: string;
}> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${options.key ?? MASTER_KEY}`,
      'content-type': 'application/json',
      // Each request on a connection of its own, so that none can die with an old one.
      connection: 'close',
    },
    body: JSON.stringify({
      model: options.model ?? 'm',
      messages: [{ role: 'user', content: options.content ?? 'hello' }],
    }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  return { status: response.status, text: await response.text() };
}

export function isRunning(pid: number): boolean {
  try {
    // A zombie is gone; its parent only hasn't looked.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function commandLine(pid: number): string {
  return readProc(pid, 'cmdline').replaceAll('\0', ' ');
}

export function readProc(pid: number, name: 'cmdline' | 'environ'): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return '';
  }
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}

/** True when nobody listens there. */
export async function isPortFree(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const isFree = await new Promise<boolean>((resolveFree) => {
    socket.once('connect', () => resolveFree(false));
    socket.once('error', () => resolveFree(true));
  });
  socket.destroy();
  return isFree;
}

export async function eventually(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) assert.fail(`time is up before ${what}`);
    await sleep(10);
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
