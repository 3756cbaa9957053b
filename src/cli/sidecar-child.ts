import { readProductVersion } from '../control/product-version.ts';
import { createLogger } from '../runtime/logger.ts';
import type { ListenError } from '../sidecar/listeners.ts';
import type { RunningSidecar } from '../sidecar/sidecar-main.ts';
import { FIRST_LISTEN_FD, type SidecarChildOptions, type ToChild } from './child-messages.ts';
import { endOnUncaught, flushCompileCacheSoon } from './process-habits.ts';
import { SupervisorLink } from './supervisor-link.ts';

/** `slipstream sidecar --child`: the sidecar's process. Ends itself. */
export function sidecarChild(): void {
  // Its modules load while the first message is on its way.
  const loading = import('../sidecar/sidecar-main.ts');
  let running: RunningSidecar | null = null;
  let draining: Promise<void> | null = null;
  const drain = (): Promise<void> => {
    // Without a configuration nothing was ever accepted.
    if (running === null) process.exit(0);
    draining ??= running.beginDrain();
    return draining;
  };
  const finish = async (): Promise<void> => {
    await drain();
    await running?.finishDrain();
    process.exit(0);
  };
  const link = new SupervisorLink('sidecar', () => void finish());
  const start = async (options: SidecarChildOptions): Promise<void> => {
    const { log, listeners: specs, ...paths } = options;
    const listeners = specs.map((spec, index) => ({ ...spec, source: { fd: FIRST_LISTEN_FD + index } }));
    const logger = createLogger({ ...log, name: 'sidecar' });
    endOnUncaught(logger);
    try {
      const { runSidecar } = await loading;
      const version = readProductVersion();
      const started = await runSidecar({ ...paths, listeners, version, logger });
      running = started;
      await started.ready;
      link.send({ type: 'ready', demoKey: null });
      flushCompileCacheSoon();
    } catch (error) {
      const taken = takenListener(error);
      if (taken !== null) {
        link.send({ type: 'port-taken', listener: taken });
        return;
      }
      logger.error('the sidecar could not start', { error });
      process.exit(1);
    }
  };
  link.open((message: ToChild) => {
    switch (message.type) {
      case 'start-sidecar':
        void start(message.options);
        return;
      case 'drain':
        void drain().then(() => link.send({ type: 'stop-listening' }));
        return;
      case 'finish-drain':
      case 'stop':
        void finish();
        return;
      case 'start-control':
      case 'reload':
        return; // the control plane's
      default:
        message satisfies never;
    }
  });
}

/** Number of the listener whose address turned out to be taken; null: another error. */
export function takenListener(error: unknown): number | null {
  // By name: importing the class would load the sidecar's modules before they are needed.
  if (!(error instanceof Error) || error.name !== 'ListenError') return null;
  const { code, index } = error as ListenError;
  return code === 'EADDRINUSE' ? index : null;
}
