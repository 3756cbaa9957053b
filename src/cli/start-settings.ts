import { resolve } from 'node:path';
import {
  CLIENT_AUTH,
  type ListenAddress,
  parseListenAddress,
  TLS_VERSIONS,
  type TlsWishes,
} from '../contract/listener.ts';
import { LOG_FORMATS, LOG_LEVELS, type LogLevel } from '../runtime/logger.ts';
import type { LogSettings } from './child-messages.ts';
import { choiceFlag, type CommandSpec, integerFlag, type ParsedCommand, usageError } from './command-line.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What flags and environment say; null where they say nothing. */
export interface StartSettings {
  /** Absolute; null is the demo. */
  readonly configPath: string | null;
  /** Wins over host and port. */
  readonly listen: readonly ListenAddress[] | null;
  readonly tls: TlsWishes;
  readonly proxyProtocol: boolean | null;
  readonly host: string | null;
  readonly port: number | null;
  readonly dataDirectory: string;
  readonly threads: number | null;
  readonly sidecar: boolean | null;
  readonly controlSocketPath: string | null;
  readonly adminSocketPath: string | null;
  /** Of the management API alone; a null port: it has no address of its own, or the configuration says. */
  readonly adminHost: string | null;
  readonly adminPort: number | null;
  readonly log: LogSettings;
  readonly env: Environment;
}

export const DEFAULT_PORT = 4000;
export const DEMO_HOST = '127.0.0.1';
export const DEFAULT_HOST = '0.0.0.0';

const MAX_THREADS = 256;

/** LiteLLM's names for levels, Python's. */
const PYTHON_LEVELS: Readonly<Record<string, LogLevel>> = { warning: 'warn', critical: 'error' };

interface Given {
  /** The flag or variable it came from. */
  readonly name: string;
  readonly text: string;
}

/** @throws {UsageError} when a flag or variable has a value that can't be. */
export function resolveStartSettings(
  command: CommandSpec,
  parsed: ParsedCommand,
  processEnv: Environment,
): StartSettings {
  const env = withoutServiceLinks(processEnv);
  const given = (flag: string): Given | null => findGiven(command, flag, parsed, env);
  const integer = (flag: string, least: number, most: number): number | null => {
    const value = given(flag);
    return value === null ? null : integerFlag(command, value, least, most);
  };
  const path = (flag: string): string | null => {
    const value = given(flag);
    return value === null ? null : resolve(value.text);
  };
  return {
    configPath: path('config'),
    listen: listenAddresses(command, given('listen')),
    tls: tlsWishes(command, given, env),
    proxyProtocol: proxyProtocol(command, env),
    host: given('host')?.text ?? null,
    port: integer('port', 0, 65_535),
    dataDirectory: path('data-dir') ?? resolve('data'),
    threads: integer('threads', 1, MAX_THREADS),
    sidecar: sidecarSetting(command, parsed, env),
    controlSocketPath: path('control-socket'),
    adminSocketPath: path('admin-socket'),
    adminHost: given('admin-host')?.text ?? null,
    adminPort: integer('admin-port', 0, 65_535),
    log: { level: logLevel(command, parsed, given), format: logFormat(command, given) },
    env,
  };
}

/** The demo's key is printed and its mock answers anyone: it is for this machine only. @throws {UsageError} */
export function refuseOpenDemo(command: CommandSpec, settings: StartSettings): void {
  if (settings.configPath !== null) return;
  const hosts = (settings.listen ?? []).flatMap(({ target }) => (target.type === 'tcp' ? [target.host] : []));
  const open = [settings.host ?? DEMO_HOST, ...hosts].find((host) => host !== DEMO_HOST);
  if (open === undefined) return;
  throw usageError(
    command,
    `the demo listens on ${DEMO_HOST} only, not on ${JSON.stringify(open)}; give a configuration with --config FILE`,
  );
}

/** The rest of `slipstream.tls` has only variables: a sidecar that is started apart reads no configuration. */
function tlsWishes(command: CommandSpec, given: (flag: string) => Given | null, env: Environment): TlsWishes {
  const path = (text: string | undefined): string | null => (text === undefined || text === '' ? null : resolve(text));
  const variable = <Choice extends string>(name: string, choices: readonly Choice[], prefix = ''): Choice | null => {
    const text = env[name];
    if (text === undefined || text === '') return null;
    const found = choices.find((choice) => [choice, choice.slice(prefix.length)].includes(text));
    return found ?? choiceFlag(command, { name, text }, choices);
  };
  return {
    certFile: path(given('tls-cert')?.text),
    keyFile: path(given('tls-key')?.text),
    caFile: path(env['SLIPSTREAM_TLS_CA_FILE']),
    clientAuth: variable('SLIPSTREAM_TLS_CLIENT_AUTH', CLIENT_AUTH),
    minVersion: variable('SLIPSTREAM_TLS_MIN_VERSION', TLS_VERSIONS, 'TLSv'),
  };
}

function proxyProtocol(command: CommandSpec, env: Environment): boolean | null {
  const text = env['SLIPSTREAM_PROXY_PROTOCOL'];
  if (text === undefined || text === '') return null;
  const choice = choiceFlag(command, { name: 'SLIPSTREAM_PROXY_PROTOCOL', text }, ['true', 'false', 'on', 'off']);
  return choice === 'true' || choice === 'on';
}

/** One address, or several with commas between them. */
function listenAddresses(command: CommandSpec, given: Given | null): readonly ListenAddress[] | null {
  if (given === null) return null;
  return given.text.split(',').map((written) => {
    const address = parseListenAddress(written, DEFAULT_PORT);
    if (typeof address !== 'string') return address;
    throw usageError(command, `${given.name}: ${JSON.stringify(written.trim())}: ${address}`);
  });
}

function findGiven(command: CommandSpec, flag: string, parsed: ParsedCommand, env: Environment): Given | null {
  const value = parsed.values[flag];
  if (typeof value === 'string') return { name: `--${flag}`, text: value };
  for (const name of command.flags[flag]?.env ?? []) {
    const text = env[name];
    if (text !== undefined && text !== '') return { name, text };
  }
  return null;
}

function sidecarSetting(command: CommandSpec, parsed: ParsedCommand, env: Environment): boolean | null {
  if (parsed.values['no-sidecar'] === true) return false;
  const text = env['SLIPSTREAM_SIDECAR'];
  if (text === undefined || text === '') return null;
  const choice = choiceFlag(command, { name: 'SLIPSTREAM_SIDECAR', text }, ['on', 'off', 'true', 'false']);
  return choice === 'on' || choice === 'true';
}

function logLevel(command: CommandSpec, parsed: ParsedCommand, given: (flag: string) => Given | null): LogLevel {
  if (parsed.values['debug'] === true) return 'debug';
  const value = given('log-level');
  if (value === null) return 'info';
  return PYTHON_LEVELS[value.text.toLowerCase()] ?? choiceFlag(command, value, LOG_LEVELS);
}

function logFormat(command: CommandSpec, given: (flag: string) => Given | null): LogSettings['format'] {
  const value = given('log');
  if (value !== null) return choiceFlag(command, value, LOG_FORMATS);
  return process.stderr.isTTY ? 'pretty' : 'json';
}

/** What services named `slipstream` and `slipstream-admin` give every container of their Kubernetes namespace. */
const SERVICE_LINKS = ['SLIPSTREAM_PORT', 'SLIPSTREAM_ADMIN_PORT'];

/** A service link is a URL like `tcp://10.0.0.1:4000`: not meant for us. */
export function withoutServiceLinks(env: Environment): Environment {
  const links = SERVICE_LINKS.filter((name) => env[name]?.startsWith('tcp://'));
  if (links.length === 0) return env;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !links.includes(name)));
}
