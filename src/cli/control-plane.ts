import type { RunningControl } from '../control/control-main.ts';
import type { Logger } from '../runtime/logger.ts';
import type { ControlChildOptions } from './child-messages.ts';
import { keepCompiledModules } from './process-habits.ts';

export interface RunningControlPlane {
  readonly demoKey: string | null;
  reload(): Promise<void>;
  stop(): Promise<void>;
}

/** The control plane, and for the demo its mock provider in the same process. Loads their modules. */
export async function startControlPlane(
  options: Omit<ControlChildOptions, 'reportsSettings' | 'log'>,
  logger: Logger,
): Promise<RunningControlPlane> {
  const { threads, adminHost, adminPort, ...paths } = options;
  const loading = import('../control/control-main.ts');
  const mock = options.configPath === null ? await startDemoMock() : null;
  const { runControl } = await loading;
  keepCompiledModules();
  let control: RunningControl;
  try {
    const demo = mock === null ? null : { mockUrl: mock.url };
    control = await runControl({ ...paths, demo, overrides: { threads, adminHost, adminPort }, logger });
  } catch (error) {
    await mock?.close();
    throw error;
  }
  return {
    demoKey: mock === null ? null : control.masterKey(),
    reload: () => control.reload(),
    stop: async () => {
      await control.stop();
      await mock?.close();
    },
  };
}

async function startDemoMock(): Promise<{ url: string; close(): Promise<void> }> {
  const { startMock } = await import('./mock/mock-server.ts');
  return startMock({ host: '127.0.0.1', port: 0 });
}

/** Lines for the operator when the configuration is at fault, null when the error is anything else. */
export function configErrorLines(error: unknown): readonly string[] | null {
  // By name: importing the class would load the control plane into processes that have none.
  if (!(error instanceof Error) || error.name !== 'ConfigError') return null;
  return 'lines' in error && Array.isArray(error.lines) ? error.lines.map(String) : [error.message];
}
