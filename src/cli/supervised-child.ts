import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { HEARTBEAT_INTERVAL_MS, HeartbeatMonitor } from '../runtime/heartbeat.ts';
import type { Logger } from '../runtime/logger.ts';
import type { ChildName, FromChild, ToChild } from './child-messages.ts';
import { childEnvironment, nodeOptionsFor } from './child-environment.ts';
import { memoryLimitBytes } from './heap-limit.ts';
import { runQueueWaitMs } from './run-queue-wait.ts';
import { RestartPolicy } from '../runtime/restart-policy.ts';
import { runProcessBelowTraffic } from '../runtime/below-traffic.ts';

/** The launcher lies two folders up, from src/cli as from dist/cli. */
const LAUNCHER = fileURLToPath(new URL('../../bin/slipstream.js', import.meta.url));

/** Of a second: a child that waited for a CPU so long was not free to show a heartbeat. The control plane has a low priority. */
const STARVED_WAIT_MS = HEARTBEAT_INTERVAL_MS / 2;

export interface ChildSpec {
  readonly name: ChildName;
  /** After `slipstream <name> --child`, for people who look at the process list. */
  readonly args: readonly string[];
  /** Sent as soon as the child listens to messages. */
  readonly startMessage: () => ToChild;
  /** Become descriptors 3, 4, … of the child; null: it has none there. */
  readonly listenFds: () => readonly (number | null)[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly onMessage: (message: FromChild) => void;
  /** Each exit but the one that `replace` asked for. `restarts` false: it will not come back unless `start` is called. */
  readonly onExit: (exit: ChildExit) => void;
}

interface AwaitedMessage {
  readonly type: FromChild['type'];
  readonly resolve: (message: FromChild | null) => void;
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly restarts: boolean;
  readonly wasEverReady: boolean;
}

/**
 * One child process and its successors: started again when it exits or hangs, until `retire` is called.
 *
 *     stopped ──start──► running ──exit──► waiting ──delay──► running …
 *                           └──exit, retired or given up──► stopped
 */
export class SupervisedChild {
  readonly #spec: ChildSpec;
  readonly #policy: RestartPolicy;
  #process: ChildProcess | null;
  #restartTimer: NodeJS.Timeout | null;
  #isRetired: boolean;
  #wasEverReady: boolean;
  /** What was sent before the child listened; null once it does. */
  #unsent: ToChild[] | null;
  #stopped: (() => void)[];
  /** Who waits for a message of a type; told null when the process exits first. */
  #awaited: AwaitedMessage[];
  /** The next exit is asked for: another process is started at once. */
  #isBeingReplaced: boolean;

  constructor(spec: ChildSpec) {
    this.#spec = spec;
    this.#policy = new RestartPolicy(spec.name === 'sidecar');
    this.#process = null;
    this.#restartTimer = null;
    this.#isRetired = false;
    this.#wasEverReady = false;
    this.#unsent = [];
    this.#stopped = [];
    this.#awaited = [];
    this.#isBeingReplaced = false;
  }

  get isRunning(): boolean {
    return this.#process !== null;
  }

  /** Resolves at once when no process runs, else when it has exited. */
  async whenStopped(): Promise<void> {
    if (this.#process === null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#stopped.push(resolve);
    await promise;
  }

  start(): void {
    if (this.#isRetired || this.#process !== null) return;
    const { name, args, env } = this.#spec;
    const nodeArgs = [...nodeOptionsFor(name, env, memoryLimitBytes()), LAUNCHER, name, '--child', ...args];
    const child = spawn(process.execPath, nodeArgs, {
      env: childEnvironment(env),
      stdio: ['ignore', 'inherit', 'inherit', ...this.#spec.listenFds().map((fd) => fd ?? 'ignore'), 'ipc'],
    });
    // At once, so that loading its modules gives way too. Threads that it has made by now and that are missed here it
    // finds itself (control-child.ts).
    if (name === 'control' && child.pid !== undefined) runProcessBelowTraffic(child.pid);
    this.#process = child;
    this.#unsent = [];
    this.#watch(child);
  }

  /** Lost when the child is not running. */
  send(message: ToChild): void {
    if (this.#unsent !== null) {
      this.#unsent.push(message);
      return;
    }
    // An error means that the child is on its way out: its exit says so.
    if (this.#process?.connected === true) this.#process.send(message, () => undefined);
  }

  /** The next message of this type; null when the process exits before it came, or none runs. */
  next<Type extends FromChild['type']>(type: Type): Promise<Extract<FromChild, { readonly type: Type }> | null> {
    if (this.#process === null) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.#awaited.push({ type, resolve: (message) => resolve(message as Extract<FromChild, { type: Type }> | null) });
    });
  }

  /** Stops the process and starts another one in its place; resolves when the old one has exited. */
  async replace(message: ToChild): Promise<void> {
    if (this.#process === null) return;
    this.#isBeingReplaced = true;
    this.send(message);
    await this.whenStopped();
  }

  /** It is not started again; the process itself goes on until it is told to stop, or killed. */
  retire(): void {
    this.#isRetired = true;
    if (this.#restartTimer !== null) clearTimeout(this.#restartTimer);
    this.#restartTimer = null;
  }

  kill(): void {
    this.#process?.kill('SIGKILL');
  }

  #watch(child: ChildProcess): void {
    const startedAtMs = performance.now();
    const monitor = new HeartbeatMonitor(startedAtMs);
    let waitedMs = 0;
    const watch = setInterval(() => {
      const waitedBeforeMs = waitedMs;
      waitedMs = (child.pid === undefined ? null : runQueueWaitMs(child.pid)) ?? waitedMs;
      if (!monitor.tick(performance.now(), waitedMs - waitedBeforeMs > STARVED_WAIT_MS)) return;
      this.#spec.logger.error(`the ${this.#spec.name} process hangs: no heartbeat for 10 s; it is killed`, {
        pid: child.pid,
      });
      child.kill('SIGKILL');
    }, HEARTBEAT_INTERVAL_MS);
    let isGone = false;
    const onGone = (code: number | null, signal: NodeJS.Signals | null): void => {
      if (isGone) return;
      isGone = true;
      clearInterval(watch);
      this.#process = null;
      this.#onExit(code, signal, performance.now() - startedAtMs);
    };
    child.on('message', (message: FromChild) => {
      monitor.beat();
      this.#onMessage(message);
    });
    child.on('exit', onGone);
    child.on('error', (error) => {
      this.#spec.logger.error(`the ${this.#spec.name} process`, { error });
      if (child.pid === undefined) onGone(null, null);
    });
  }

  #onMessage(message: FromChild): void {
    if (message.type === 'heartbeat') return;
    if (message.type === 'hello') {
      const unsent = this.#unsent ?? [];
      this.#unsent = null;
      for (const waiting of [this.#spec.startMessage(), ...unsent]) this.send(waiting);
    }
    if (message.type === 'ready') {
      this.#policy.onReady();
      this.#wasEverReady = true;
    }
    for (const { resolve } of this.#takeAwaited((awaited) => awaited.type === message.type)) resolve(message);
    this.#spec.onMessage(message);
  }

  #takeAwaited(isTaken: (awaited: AwaitedMessage) => boolean): AwaitedMessage[] {
    const taken = this.#awaited.filter(isTaken);
    this.#awaited = this.#awaited.filter((awaited) => !taken.includes(awaited));
    return taken;
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null, livedMs: number): void {
    for (const { resolve } of this.#takeAwaited(() => true)) resolve(null);
    if (this.#isBeingReplaced) {
      this.#isBeingReplaced = false;
      this.start();
    } else {
      this.#onUnexpectedExit(code, signal, livedMs);
    }
    for (const resolve of this.#stopped.splice(0)) resolve();
  }

  #onUnexpectedExit(code: number | null, signal: NodeJS.Signals | null, livedMs: number): void {
    const wasEverReady = this.#wasEverReady;
    const decision = this.#isRetired ? ({ restart: false } as const) : this.#policy.onDeath(livedMs);
    if (decision.restart) {
      this.#restartTimer = setTimeout(() => {
        this.#restartTimer = null;
        this.start();
      }, decision.delayMs);
    }
    this.#spec.onExit({ code, signal, restarts: decision.restart, wasEverReady });
  }
}
