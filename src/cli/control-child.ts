import { createLogger } from '../runtime/logger.ts';
import { type ControlChildOptions, EXIT_CONFIG, type ToChild } from './child-messages.ts';
import { readConfiguredProcesses } from './configured-processes.ts';
import { configErrorLines, type RunningControlPlane, startControlPlane } from './control-plane.ts';
import { endOnUncaught } from './process-habits.ts';
import { SupervisorLink } from './supervisor-link.ts';

/** `slipstream control --child`: the control plane's process. Ends itself. */
export function controlChild(): void {
  let starting: Promise<RunningControlPlane> | null = null;
  const stop = async (): Promise<void> => {
    if (starting === null) process.exit(0);
    const running = await starting;
    await running.stop();
    process.exit(0);
  };
  const link = new SupervisorLink('control', () => void stop());
  link.open((message: ToChild) => {
    switch (message.type) {
      case 'start-control':
        starting ??= start(message.options, link);
        return;
      case 'reload':
        void starting?.then((running) => running.reload());
        return;
      case 'stop':
        void stop();
        return;
      case 'start-sidecar':
      case 'drain':
      case 'finish-drain':
      case 'hand-over':
      case 'take-over':
      case 'predecessor-ended':
        return; // the sidecar's
      default:
        message satisfies never;
    }
  });
}

/** Exits when the control plane can't start. */
async function start(options: ControlChildOptions, link: SupervisorLink): Promise<RunningControlPlane> {
  const { reportsSettings, log, ...rest } = options;
  const logger = createLogger({ ...log, name: 'control' });
  endOnUncaught(logger);
  try {
    if (reportsSettings && options.configPath !== null) {
      const settings = await readConfiguredProcesses(options.configPath, options.env);
      if (settings !== null) link.send({ type: 'settings', settings });
    }
    const running = await startControlPlane(rest, logger);
    link.send({ type: 'ready', demoKey: running.demoKey });
    return running;
  } catch (error) {
    const lines = configErrorLines(error);
    if (lines === null) {
      logger.error('the control plane could not start', { error });
      return process.exit(1);
    }
    for (const line of lines) process.stderr.write(`slipstream: ${line}\n`);
    return process.exit(EXIT_CONFIG);
  }
}
