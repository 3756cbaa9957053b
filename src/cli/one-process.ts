import { createLogger } from '../runtime/logger.ts';
import { handleSignals } from '../runtime/shutdown.ts';
import type { RunningSidecar } from '../sidecar/sidecar-main.ts';
import type { ConfiguredProcesses } from './child-messages.ts';
import { readConfiguredProcesses } from './configured-processes.ts';
import { configErrorLines, type RunningControlPlane, startControlPlane } from './control-plane.ts';
import { serveCommands } from './command-socket.ts';
import type { DataDirectory } from './data-directory.ts';
import { bindListeners, listenerTaken } from './bind-listeners.ts';
import { endOnUncaught, keepCompiledModules } from './process-habits.ts';
import { resolveListeners } from './resolve-listeners.ts';
import { takenListener } from './sidecar-child.ts';
import { StartError } from './start-error.ts';
import type { StartSettings } from './start-settings.ts';
import type { ReadyService } from './supervisor.ts';
import { readProductVersion } from '../control/product-version.ts';

export interface OneProcessOptions {
  readonly settings: StartSettings;
  readonly directory: DataDirectory;
  /** Null: not known yet. */
  readonly configured: ConfiguredProcesses | null;
  readonly onReady: (ready: ReadyService) => void;
}

/**
 * Both planes on this process's loop, talking over the same two sockets as two processes would. Resolves with the exit
 * code when they have stopped.
 *
 * @throws {StartError} in words for the operator.
 */
export async function runOneProcess(options: OneProcessOptions): Promise<number> {
  const logger = createLogger({ ...options.settings.log, name: 'slipstream' });
  endOnUncaught(logger);
  const stopping = Promise.withResolvers<void>();
  const removeHandlers = handleSignals({
    onStop: (signal) => {
      logger.info('stopping', { signal });
      stopping.resolve();
    },
    onForce: (signal) => {
      logger.warn('second signal: stopping at once', { signal });
      process.exit(1);
    },
    onReload: () => {
      planes?.sidecar.reloadCertificates();
      void planes?.control.reload();
    },
  });
  let planes: Planes | null = null;
  let stopCommands: () => void = () => undefined;
  try {
    stopCommands = await serveCommands(options.directory.commandSocketPath, refuseUpgrade);
    const starting = startPlanes(options, logger.child({}));
    const first = await Promise.race([starting, stopping.promise]);
    if (first === undefined) return 0; // told to stop while starting: nothing was accepted yet
    planes = first;
    options.onReady(planes.service);
    await stopping.promise;
    await planes.sidecar.beginDrain();
    await planes.sidecar.finishDrain();
    await planes.control.stop();
    return 0;
  } finally {
    removeHandlers();
    stopCommands();
  }
}

function refuseUpgrade(): Promise<string> {
  const why = 'upgrade is not available in one process (--no-sidecar): nothing could serve while it is replaced';
  return Promise.reject(new StartError(`${why}; stop it and start it again`));
}

interface Planes {
  readonly control: RunningControlPlane;
  readonly sidecar: RunningSidecar;
  readonly service: ReadyService;
}

async function startPlanes(options: OneProcessOptions, logger: ReturnType<typeof createLogger>): Promise<Planes> {
  const { settings, directory } = options;
  const { configPath, env, adminHost, adminPort } = settings;
  const paths = {
    dataDirectory: directory.path,
    controlSocketPath: directory.controlSocketPath,
    adminSocketPath: directory.adminSocketPath,
  };
  const configured = await configuredProcesses(options);
  const { specs, inherited } = await resolveListeners(settings, configured, configPath === null);
  // A port that is taken is known before anything is started.
  const bound = await bindListeners(specs, inherited);
  // One process, one thread: the request path is the same code on this very loop. More only where someone asks for it.
  const threads = settings.threads ?? configured?.threads ?? 1;
  const loading = import('../sidecar/sidecar-main.ts');
  try {
    const control = await startControlPlane(
      { ...paths, configPath, env, threads, adminHost, adminPort },
      logger.child({ plane: 'control' }),
    );
    const { runSidecar } = await loading;
    keepCompiledModules();
    const version = readProductVersion();
    const sidecar = await runSidecar({
      ...paths,
      listeners: bound.map(({ spec, source }) => ({ ...spec, source })),
      version,
      logger: logger.child({ plane: 'sidecar' }),
    });
    await sidecar.ready;
    return { control, sidecar, service: { listeners: bound, demoKey: control.demoKey } };
  } catch (error) {
    const lines = configErrorLines(error);
    if (lines !== null) throw new StartError(lines.join('\nslipstream: '));
    const taken = takenListener(error);
    throw taken === null ? error : listenerTaken(bound[taken]);
  }
}

async function configuredProcesses({ settings, configured }: OneProcessOptions): Promise<ConfiguredProcesses | null> {
  if (configured !== null || settings.configPath === null) return configured;
  return readConfiguredProcesses(settings.configPath, settings.env);
}
