import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../runtime/logger.ts';
import { handleSignals } from '../runtime/shutdown.ts';
import { bindListeners, type BoundListener, listenerTaken } from './bind-listeners.ts';
import {
  type ChildName,
  type ConfiguredProcesses,
  EXIT_CONFIG,
  FIRST_LISTEN_FD,
  type FromChild,
  type ToChild,
} from './child-messages.ts';
import { serveCommands } from './command-socket.ts';
import type { DataDirectory } from './data-directory.ts';
import { lastInheritedFd } from './inherited-sockets.ts';
import { resolveListeners } from './resolve-listeners.ts';
import { StartError } from './start-error.ts';
import type { StartSettings } from './start-settings.ts';
import { type ChildExit, SupervisedChild } from './supervised-child.ts';
import { replaceControl, replaceSidecar } from './upgrade.ts';

/** The control plane has nothing to finish but a reload and a few admin requests. */
const CONTROL_STOP_MS = 10_000;

export interface SupervisorOptions {
  readonly planes: readonly ChildName[];
  readonly settings: StartSettings;
  readonly directory: DataDirectory;
  /** Wait for the control plane to say what the configuration wants before the address is bound. */
  readonly awaitsConfiguration: boolean;
  readonly logger: Logger;
  /** All planes serve, for the first time. */
  readonly onReady: (ready: ReadyService) => void;
}

export interface ReadyService {
  readonly listeners: readonly Pick<BoundListener, 'url' | 'address' | 'port'>[];
  readonly demoKey: string | null;
}

/** `one-process`: the configuration has `sidecar: off`, nothing is running any more, and this process is to do it all. */
export type SupervisorOutcome =
  | { readonly type: 'stopped'; readonly exitCode: number }
  | { readonly type: 'one-process'; readonly configured: ConfiguredProcesses };

/**
 * Binds the public address, starts the planes, starts again what dies or hangs, and stops them in order. Resolves when
 * nothing runs any more.
 *
 *     starting ──all ready──► serving ──signal──► stopping ──► (resolved)
 *         └── start failed, sidecar gave up, signal ──┘
 *
 * @throws {StartError} in words for the operator, when the address can't be had.
 */
export function supervise(options: SupervisorOptions): Promise<SupervisorOutcome> {
  return new Supervisor(options).run();
}

class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #logger: Logger;
  /** The one of each name that serves. */
  readonly #children: Map<ChildName, SupervisedChild>;
  /** Sidecars that finish what is in progress, or are not ready to take over yet. */
  readonly #others: Set<SupervisedChild>;
  readonly #ready: Set<ChildName>;
  readonly #outcome: PromiseWithResolvers<SupervisorOutcome>;
  readonly #stopListening: PromiseWithResolvers<void>;
  /** Empty until the addresses are bound, and again when they are given up. */
  #listeners: readonly BoundListener[];
  #demoKey: string | null;
  #isServing: boolean;
  #isStopping: boolean;
  #isUpgrading: boolean;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#logger = options.logger;
    this.#children = new Map(options.planes.map((name) => [name, this.#newChild(name)]));
    this.#others = new Set();
    this.#ready = new Set();
    this.#outcome = Promise.withResolvers();
    this.#stopListening = Promise.withResolvers();
    this.#listeners = [];
    this.#demoKey = null;
    this.#isServing = false;
    this.#isStopping = false;
    this.#isUpgrading = false;
  }

  async run(): Promise<SupervisorOutcome> {
    const removeHandlers = handleSignals({
      onStop: (signal) => {
        this.#logger.info('stopping', { signal });
        this.#stop({ type: 'stopped', exitCode: 0 });
      },
      onForce: (signal) => this.#force(signal),
      // The control plane reads its configuration again, the sidecar its certificates.
      onReload: () => {
        for (const child of this.#children.values()) child.send({ type: 'reload' });
      },
    });
    let stopCommands: () => void = () => undefined;
    try {
      const { commandSocketPath } = this.#options.directory;
      stopCommands = await serveCommands(commandSocketPath, (report) => this.#upgrade(report));
      if (!this.#options.awaitsConfiguration) await this.#bind(null);
      // A signal may have come while a host name was looked up.
      if (!this.#isStopping) {
        this.#children.get('control')?.start();
        if (!this.#options.awaitsConfiguration) this.#children.get('sidecar')?.start();
      }
      return await this.#outcome.promise;
    } finally {
      removeHandlers();
      stopCommands();
      this.#closeSockets();
    }
  }

  async #bind(configured: ConfiguredProcesses | null): Promise<void> {
    if (!this.#children.has('sidecar')) return;
    const { specs, inherited } = await resolveListeners(this.#options.settings, configured, this.#isDemo());
    const bound = await bindListeners(specs, inherited);
    if (this.#isStopping) for (const listener of bound) listener.close();
    else this.#listeners = bound;
  }

  #isDemo(): boolean {
    const { settings, planes } = this.#options;
    return settings.configPath === null && planes.includes('control');
  }

  #newChild(name: ChildName): SupervisedChild {
    const { settings, directory } = this.#options;
    const child: SupervisedChild = new SupervisedChild({
      name,
      args: ['--data-dir', directory.path],
      startMessage: () => this.#startMessage(name, !this.#others.has(child)),
      listenFds: () => this.#listenFds(name),
      env: settings.env,
      logger: this.#options.logger,
      onMessage: (message) => this.#onMessage(name, message),
      onExit: (exit) => {
        if (!this.#others.has(child)) this.#onExit(name, exit);
        else if (exit.code !== 0) this.#logger.error('a sidecar that does not serve ended', { ...exit });
        // It is not started again, whatever it ended of.
        if (this.#others.delete(child)) child.retire();
      },
    });
    return child;
  }

  /** Descriptors that systemd gave us are open in every child unless something else is put in their place. */
  #listenFds(name: ChildName): readonly (number | null)[] {
    const fds: (number | null)[] = name === 'sidecar' ? this.#listeners.map(({ fd }) => fd) : [];
    const last = lastInheritedFd(this.#options.settings.env, process.pid);
    while (FIRST_LISTEN_FD + fds.length <= last) fds.push(null);
    return fds;
  }

  #startMessage(name: ChildName, serves: boolean): ToChild {
    const { settings, directory, awaitsConfiguration } = this.#options;
    const paths = {
      dataDirectory: directory.path,
      controlSocketPath: directory.controlSocketPath,
      adminSocketPath: directory.adminSocketPath,
    };
    if (name === 'sidecar') {
      const listeners = this.#listeners.map(({ spec }) => spec);
      return { type: 'start-sidecar', options: { ...paths, listeners, awaitsTakeOver: !serves, log: settings.log } };
    }
    const { configPath, env, threads, adminHost, adminPort, log } = settings;
    const reportsSettings = awaitsConfiguration && this.#listeners.length === 0;
    return {
      type: 'start-control',
      options: { ...paths, configPath, env, threads, adminHost, adminPort, reportsSettings, log },
    };
  }

  #onMessage(name: ChildName, message: FromChild): void {
    switch (message.type) {
      case 'ready':
        this.#onReady(name, message.demoKey);
        return;
      case 'settings':
        this.#onSettings(message.settings);
        return;
      case 'stop-listening':
        this.#stopListening.resolve();
        return;
      case 'port-taken':
        this.#fail(listenerTaken(this.#listeners[message.listener]));
        return;
      case 'hello':
      case 'heartbeat':
      case 'prepared':
      case 'handed-over':
        return; // whoever waits for them has them
      default:
        message satisfies never;
    }
  }

  #onReady(name: ChildName, demoKey: string | null): void {
    this.#ready.add(name);
    this.#demoKey ??= demoKey;
    if (this.#isServing || this.#ready.size < this.#children.size) return;
    this.#isServing = true;
    this.#options.onReady({ listeners: this.#listeners, demoKey: this.#demoKey });
  }

  #onSettings(configured: ConfiguredProcesses): void {
    if (this.#isStopping || this.#listeners.length > 0) return;
    if (!configured.sidecar && this.#options.settings.sidecar === null) {
      this.#stop({ type: 'one-process', configured });
      return;
    }
    this.#bind(configured).then(
      () => this.#children.get('sidecar')?.start(),
      (error: unknown) => this.#fail(error),
    );
  }

  #onExit(name: ChildName, exit: ChildExit): void {
    if (this.#isStopping) return;
    if (exit.code === EXIT_CONFIG && !exit.wasEverReady) {
      // It has said why.
      this.#stop({ type: 'stopped', exitCode: 1 });
      return;
    }
    const how = exit.signal === null ? { code: exit.code } : { signal: exit.signal };
    if (exit.restarts) {
      this.#logger.error(`the ${name} process ended; it is started again`, how);
      return;
    }
    this.#logger.error(`the ${name} process keeps ending; giving up`, how);
    this.#stop({ type: 'stopped', exitCode: 1 });
  }

  /** @throws {StartError} in words for the operator. */
  async #upgrade(report: (text: string) => void): Promise<string> {
    if (!this.#isServing || this.#isStopping) throw new StartError('the service is starting or stopping');
    if (this.#isUpgrading) throw new StartError('an upgrade is under way already');
    this.#isUpgrading = true;
    this.#logger.info('upgrading');
    try {
      const control = this.#children.get('control');
      if (control !== undefined) {
        await replaceControl(control);
        report('the new control plane runs');
      }
      const sidecar = this.#children.get('sidecar');
      if (sidecar === undefined) return 'upgraded';
      await this.#replaceSidecar(sidecar);
      this.#logger.info('upgraded; the old sidecar finishes what is in progress');
      return 'the new sidecar serves; the old one finishes what is in progress';
    } finally {
      this.#isUpgrading = false;
    }
  }

  #replaceSidecar(old: SupervisedChild): Promise<void> {
    const next = this.#newChild('sidecar');
    this.#others.add(next);
    const onHandedOver = (): void => {
      this.#others.delete(next);
      if (old.isRunning) this.#others.add(old);
      this.#children.set('sidecar', next);
    };
    return replaceSidecar(old, next, onHandedOver, this.#logger);
  }

  #fail(error: unknown): void {
    if (error instanceof StartError) process.stderr.write(`slipstream: ${error.message}\n`);
    else this.#logger.error('start failed', { error });
    this.#stop({ type: 'stopped', exitCode: 1 });
  }

  #stop(outcome: SupervisorOutcome): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#stopChildren().then(
      () => this.#outcome.resolve(outcome),
      (error: unknown) => this.#outcome.reject(error instanceof Error ? error : new Error(String(error))),
    );
  }

  /**
   * The sidecar first, while the control plane still answers its questions. It says when the listening socket may go, and
   * this copy goes before its own: so nobody can connect whom it would not serve. How long requests in flight may take
   * is its business; a sidecar that hangs is found by its heartbeat.
   */
  async #stopChildren(): Promise<void> {
    for (const child of [...this.#children.values(), ...this.#others]) child.retire();
    // One of these handed over and is on its way out, or never served: none has anything to lose.
    for (const child of this.#others) child.send({ type: 'stop' });
    const sidecar = this.#children.get('sidecar');
    if (sidecar?.isRunning === true) {
      sidecar.send({ type: 'drain' });
      await Promise.race([this.#stopListening.promise, sidecar.whenStopped()]);
      this.#closeSockets();
      sidecar.send({ type: 'finish-drain' });
      await sidecar.whenStopped();
    }
    this.#closeSockets();
    await Promise.all([...this.#others].map((child) => child.whenStopped()));
    const control = this.#children.get('control');
    if (control?.isRunning !== true) return;
    control.send({ type: 'stop' });
    const timeout = sleep(CONTROL_STOP_MS, 'late', { ref: false });
    if ((await Promise.race([timeout, control.whenStopped()])) === 'late') {
      this.#logger.error('the control process does not stop; it is killed');
      control.kill();
      await control.whenStopped();
    }
  }

  #force(signal: NodeJS.Signals): void {
    this.#logger.warn('second signal: stopping at once', { signal });
    for (const child of [...this.#children.values(), ...this.#others]) child.kill();
    this.#outcome.resolve({ type: 'stopped', exitCode: 1 });
  }

  #closeSockets(): void {
    for (const listener of this.#listeners) listener.close();
    this.#listeners = [];
  }
}
