import { createLogger } from '../runtime/logger.ts';
import { printBanner } from './banner.ts';
import type { ChildName, ConfiguredProcesses } from './child-messages.ts';
import { type CommandSpec, parseCommand, renderHelp } from './command-line.ts';
import { CONTROL_COMMAND, SIDECAR_COMMAND, START_COMMAND } from './commands.ts';
import { mayConfigureProcesses } from './configured-processes.ts';
import { type DataDirectory, openDataDirectory } from './data-directory.ts';
import { runOneProcess } from './one-process.ts';
import { StartError } from './start-error.ts';
import { refuseOpenDemo, resolveStartSettings, type StartSettings } from './start-settings.ts';
import { type ReadyService, supervise } from './supervisor.ts';

/** `slipstream start`: both planes, as two supervised processes or in this one. @returns the exit code. */
export async function startCommand(argv: readonly string[]): Promise<number> {
  const settings = readSettings(START_COMMAND, argv);
  if (settings === null) return 0;
  refuseOpenDemo(START_COMMAND, settings);
  const directory = openFor(settings, ['control', 'sidecar']);
  if (settings.sidecar === false) return runHere(settings, directory, null);
  const outcome = await superviseIn(settings, directory, ['control', 'sidecar']);
  return outcome.type === 'stopped' ? outcome.exitCode : runHere(settings, directory, outcome.configured);
}

/** `slipstream control`: the control plane alone, supervised. @returns the exit code. */
export async function controlCommand(argv: readonly string[]): Promise<number | null> {
  if (argv.includes('--child')) {
    const { controlChild } = await import('./control-child.ts');
    controlChild();
    return null;
  }
  const settings = readSettings(CONTROL_COMMAND, argv);
  if (settings === null) return 0;
  if (settings.configPath === null) {
    throw new StartError(
      'the control plane alone needs a configuration: --config FILE (the demo is: slipstream start)',
    );
  }
  return superviseAlone(settings, 'control');
}

/** `slipstream sidecar`: the sidecar alone, supervised. @returns the exit code. */
export async function sidecarCommand(argv: readonly string[]): Promise<number | null> {
  if (argv.includes('--child')) {
    const { sidecarChild } = await import('./sidecar-child.ts');
    sidecarChild();
    return null;
  }
  const settings = readSettings(SIDECAR_COMMAND, argv);
  return settings === null ? 0 : superviseAlone(settings, 'sidecar');
}

async function superviseAlone(settings: StartSettings, plane: ChildName): Promise<number> {
  const outcome = await superviseIn(settings, openFor(settings, [plane]), [plane]);
  return outcome.type === 'stopped' ? outcome.exitCode : 0;
}

/** Null when help was asked for, and printed. */
function readSettings(command: CommandSpec, argv: readonly string[]): StartSettings | null {
  const parsed = parseCommand(command, argv);
  if (!parsed.wantsHelp) return resolveStartSettings(command, parsed, process.env);
  process.stdout.write(renderHelp(command));
  return null;
}

function openFor(settings: StartSettings, planes: readonly ChildName[]): DataDirectory {
  const directory = openDataDirectory(settings.dataDirectory, planes);
  return {
    ...directory,
    controlSocketPath: settings.controlSocketPath ?? directory.controlSocketPath,
    adminSocketPath: settings.adminSocketPath ?? directory.adminSocketPath,
  };
}

async function superviseIn(
  settings: StartSettings,
  directory: DataDirectory,
  planes: readonly ChildName[],
): ReturnType<typeof supervise> {
  const logger = createLogger({ ...settings.log, name: 'supervisor' });
  const onReady = (service: ReadyService): void => {
    logger.info('ready', { listeners: service.listeners.map(({ url }) => url) });
    if (planes.includes('sidecar')) printBanner(service);
  };
  return supervise({ planes, settings, directory, awaitsConfiguration: awaits(settings, planes), logger, onReady });
}

/** Waiting for the configuration costs some hundred milliseconds: only when it may decide something. */
function awaits(settings: StartSettings, planes: readonly ChildName[]): boolean {
  const { configPath } = settings;
  return configPath !== null && planes.length > 1 && mayConfigureProcesses(configPath);
}

function runHere(
  settings: StartSettings,
  directory: DataDirectory,
  configured: ConfiguredProcesses | null,
): Promise<number> {
  // Installs its signal handlers before it awaits anything: no signal falls between the supervisor's and these.
  return runOneProcess({ settings, directory, configured, onReady: printBanner });
}
