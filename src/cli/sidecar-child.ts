import { readProductVersion } from '../control/product-version.ts';
import { createLogger } from '../runtime/logger.ts';
import type { RunningSidecar } from '../sidecar/sidecar-main.ts';
import { LISTEN_FD, type SidecarChildOptions, type ToChild } from './child-messages.ts';
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
    const { log, ...paths } = options;
    const logger = createLogger({ ...log, name: 'sidecar' });
    endOnUncaught(logger);
    try {
      const { runSidecar } = await loading;
      const version = readProductVersion();
      const started = await runSidecar({ ...paths, listen: { fd: LISTEN_FD }, version, logger });
      running = started;
      await started.ready;
      link.send({ type: 'ready', demoKey: null });
      flushCompileCacheSoon();
    } catch (error) {
      if (isPortTaken(error)) {
        link.send({ type: 'port-taken' });
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

export function isPortTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}
