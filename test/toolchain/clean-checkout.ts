import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const REPO_ROOT: string = resolve(import.meta.dirname, '../..');
const START_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 15_000;

export interface TemporaryFolder extends Disposable {
  readonly path: string;
}

export function makeTemporaryFolder(name: string): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), `slipstream-${name}-`));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** What is committed, and nothing else. */
export function cloneHead(folder: TemporaryFolder): string {
  const checkout = join(folder.path, 'checkout');
  run(['git', 'clone', '--quiet', '--no-hardlinks', REPO_ROOT, checkout], { cwd: folder.path });
  return checkout;
}

/** What npm and the test runner set for this process; how to reach the registry stays. */
const OF_THIS_RUN =
  /^(npm_(?!config_(registry|cafile|cache|userconfig|proxy|https_proxy)$)|NODE_(OPTIONS|ENV|COMPILE_CACHE|TEST_\w+)$|NODE$|INIT_CWD$|COLOR$)/i;

/** The environment of a user's shell. */
export function userEnvironment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !OF_THIS_RUN.test(name));
  const path = (process.env.PATH ?? '').split(':').filter((folder) => !folder.includes('node_modules'));
  return { ...Object.fromEntries(inherited), PATH: path.join(':'), ...more };
}

/** Runs a command to its end; a failure shows all that it printed. */
export function run(command: readonly string[], options: { cwd: string; env?: NodeJS.ProcessEnv }): string {
  const [program = '', ...args] = command;
  const { cwd, env } = options;
  const result = spawnSync(program, args, { cwd, env: env ?? userEnvironment(), encoding: 'utf8' });
  const output = `${command.join(' ')}\n${result.stdout}\n${result.stderr}\n${result.error?.message ?? ''}`;
  assert.equal(result.status, 0, output);
  return result.stdout;
}

export interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  readonly output: () => string;
}

interface StartOptions {
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly port: number;
  readonly withinMs: number;
  /** In a process group of its own, as a terminal starts it. */
  readonly detached?: boolean;
  isUp(output: string): boolean;
}

/** Starts a gateway and waits until it is up by the caller's measure. */
export async function startCommand(command: readonly string[], options: StartOptions): Promise<Running> {
  const { cwd, env, port, withinMs, detached = false } = options;
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    cwd,
    env: env ?? userEnvironment(),
    detached,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const collect = (chunk: Buffer): void => void (text += chunk.toString());
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const deadline = Date.now() + withinMs;
  while (!options.isUp(text)) {
    const isOver = child.exitCode !== null || child.signalCode !== null || Date.now() > deadline;
    if (isOver) child.kill('SIGKILL');
    assert.ok(!isOver, `${command.join(' ')} did not start:\n${text}`);
    await delay(20);
  }
  return { child, port, output: () => text };
}

/** Starts the demo gateway on a free port with this command, and waits until it has printed its curl line. */
export async function startGateway(
  command: readonly string[],
  options: Pick<StartOptions, 'cwd' | 'env' | 'detached'>,
): Promise<Running> {
  const port = await findFreePort();
  return startCommand(
    command.map((part) => part.replace('{port}', String(port))),
    { ...options, port, isUp: hasCompleteCurlLine, withinMs: START_WITHIN_MS },
  );
}

function hasCompleteCurlLine(text: string): boolean {
  return /(^|\n)\s*curl .*[^\\]\n/.test(text.replaceAll('\\\n', ' '));
}

/** Runs the printed curl line as a user does: copied into a shell. Returns the body of the answer. */
export function runPrintedCurl(running: Running): { readonly choices?: readonly unknown[] } {
  const curl = /(?:^|\n)\s*(curl .*)\n/.exec(running.output().replaceAll('\\\n', ' '))?.[1];
  assert.ok(curl !== undefined, running.output());
  assert.ok(curl.includes(`:${running.port}/`), curl);
  const answer = run(['sh', '-c', `${curl} --fail --silent --show-error --max-time 10`], { cwd: tmpdir() });
  return JSON.parse(answer) as { choices?: unknown[] };
}

/** SIGTERM to the process that the user started. */
export async function stopGateway(running: Running, pid = Number(running.child.pid)): Promise<void> {
  await stopBy('SIGTERM', running, pid);
}

/** What Ctrl-C does: SIGINT to npm and all that it started. */
export async function pressCtrlC(running: Running): Promise<void> {
  await stopBy('SIGINT', running, -Number(running.child.pid));
}

/** It must exit with 0 in time, with all processes that write to its output, and leave no one on the port. */
async function stopBy(signal: NodeJS.Signals, { child, port, output }: Running, pid: number): Promise<void> {
  const closed = once(child, 'close') as Promise<[number | null, string | null]>;
  process.kill(pid, signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
  const [code, endedBy] = await closed;
  clearTimeout(timer);
  assert.deepEqual({ code, endedBy }, { code: 0, endedBy: null }, output());
  await assert.rejects(connectTo(port), /ECONNREFUSED/, `someone still listens on ${port}`);
}

async function connectTo(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}

export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
