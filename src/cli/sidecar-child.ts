import { readProductVersion } from '../control/product-version.ts';
import { createLogger } from '../runtime/logger.ts';
import type { ListenError } from '../sidecar/listeners.ts';
import type { RunningSidecar } from '../sidecar/sidecar-main.ts';
import type { SharedState } from '../sidecar/worker/shared-state.ts';
import { FIRST_LISTEN_FD, type SidecarChildOptions, type ToChild } from './child-messages.ts';
import { endOnUncaught, keepCompiledModules } from './process-habits.ts';
import { SupervisorLink } from './supervisor-link.ts';

/** `slipstream sidecar --child`: the sidecar's process. Ends itself. */
export function sidecarChild(): void {
  new SidecarChild().open();
}

class SidecarChild {
  // Its modules load while the first message is on its way.
  readonly #loading = import('../sidecar/sidecar-main.ts');
  readonly #link = new SupervisorLink('sidecar', () => void this.#finish());
  readonly #takenOver = Promise.withResolvers<SharedState>();
  #running: RunningSidecar | null = null;
  #draining: Promise<void> | null = null;

  open(): void {
    this.#link.open((message) => this.#onMessage(message));
  }

  #onMessage(message: ToChild): void {
    switch (message.type) {
      case 'start-sidecar':
        void this.#start(message.options);
        return;
      case 'drain':
        void this.#drain().then(() => this.#link.send({ type: 'stop-listening' }));
        return;
      case 'hand-over':
        this.#handOver();
        return;
      case 'take-over':
        this.#takenOver.resolve(message.state);
        return;
      case 'predecessor-ended':
        this.#running?.predecessorEnded();
        return;
      case 'finish-drain':
      case 'stop':
        void this.#finish();
        return;
      case 'reload':
        this.#running?.reloadCertificates();
        return;
      case 'start-control':
        return; // the control plane's
      default:
        message satisfies never;
    }
  }

  async #start(options: SidecarChildOptions): Promise<void> {
    const { log, listeners: specs, awaitsTakeOver, ...paths } = options;
    const listeners = specs.map((spec, index) => ({ ...spec, source: { fd: FIRST_LISTEN_FD + index } }));
    const logger = createLogger({ ...log, name: 'sidecar' });
    const takeOver = (): Promise<SharedState> => {
      this.#link.send({ type: 'prepared' });
      return this.#takenOver.promise;
    };
    endOnUncaught(logger);
    try {
      const { runSidecar } = await this.#loading;
      keepCompiledModules();
      const version = readProductVersion();
      const common = { ...paths, listeners, version, logger };
      const running = await runSidecar(awaitsTakeOver ? { ...common, takeOver } : common);
      this.#running = running;
      await running.ready;
      this.#link.send({ type: 'ready', demoKey: null });
    } catch (error) {
      const taken = takenListener(error);
      if (taken !== null) {
        this.#link.send({ type: 'port-taken', listener: taken });
        return;
      }
      logger.error('the sidecar could not start', { error });
      process.exit(1);
    }
  }

  #drain(): Promise<void> {
    // Without a configuration nothing was ever accepted.
    if (this.#running === null) process.exit(0);
    this.#draining ??= this.#running.beginDrain();
    return this.#draining;
  }

  async #finish(): Promise<void> {
    await this.#drain();
    await this.#end();
  }

  #handOver(): void {
    if (this.#running === null) process.exit(0);
    this.#link.send({ type: 'handed-over', state: this.#running.handOver() });
    void this.#end();
  }

  async #end(): Promise<void> {
    await this.#running?.finishDrain();
    process.exit(0);
  }
}

/** Number of the listener whose address turned out to be taken; null: another error. */
export function takenListener(error: unknown): number | null {
  // By name: importing the class would load the sidecar's modules before they are needed.
  if (!(error instanceof Error) || error.name !== 'ListenError') return null;
  const { code, index } = error as ListenError;
  return code === 'EADDRINUSE' ? index : null;
}
