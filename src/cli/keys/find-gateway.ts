import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DATA_FILES } from '../../contract/persisted-state.ts';
import { type ParsedCommand, usageError } from '../command-line.ts';
import { KEYS_COMMAND } from '../commands.ts';
import { adminSocketPath } from '../data-directory.ts';
import { StartError } from '../start-error.ts';
import { type Environment, withoutServiceLinks } from '../start-settings.ts';
import { AdminClient, type AdminTarget } from './admin-client.ts';

/** The gateway that the flags and variables name, with its master key. @throws {StartError} when either can't be found. */
export async function findGateway({ values }: ParsedCommand, processEnv: Environment): Promise<AdminClient> {
  const env = withoutServiceLinks(processEnv);
  const given = (flag: string): string | null => {
    const value = values[flag];
    if (typeof value === 'string') return value;
    const names = KEYS_COMMAND.flags[flag]?.env ?? [];
    return names.map((name) => env[name]).find((text) => text !== undefined && text !== '') ?? null;
  };
  const dataDirectory = resolve(given('data-dir') ?? 'data');
  const configPath = given('config');
  const configured = configPath === null ? null : await readConfigured(resolve(configPath), env);
  const stated = ['SLIPSTREAM_MASTER_KEY', 'LITELLM_MASTER_KEY']
    .map((name) => env[name])
    .find((text) => text !== '' && text !== undefined);
  const masterKey = stated ?? configured?.masterKey ?? demoKey(dataDirectory);
  if (masterKey === null || masterKey === '') {
    throw new StartError(
      'the master key is needed: set LITELLM_MASTER_KEY, or name the configuration with --config FILE',
    );
  }
  const url = given('url') ?? configured?.adminUrl ?? null;
  return new AdminClient(
    url === null ? socketOf(dataDirectory, given('admin-socket')) : { url: parseUrl(url) },
    masterKey,
  );
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && ['http:', 'https:'].includes(url.protocol)) return url;
  throw usageError(KEYS_COMMAND, '--url must be an address such as http://127.0.0.1:4000');
}

function socketOf(dataDirectory: string, named: string | null): AdminTarget {
  const socketPath = named ?? adminSocketPath(dataDirectory);
  if (socketPath !== null && existsSync(socketPath)) return { socketPath };
  throw new StartError(
    `no gateway runs in ${dataDirectory}; name its data directory with --data-dir, or its address with --url`,
  );
}

interface Configured {
  readonly masterKey: string | null;
  /** Where it has an address of its own. */
  readonly adminUrl: string | null;
}

async function readConfigured(configPath: string, env: Environment): Promise<Configured> {
  const [{ loadConfigSource }, { Findings }, { resolveSettings }] = await Promise.all([
    import('../../control/config/config-source.ts'),
    import('../../control/config/findings.ts'),
    import('../../control/config/resolve-settings.ts'),
  ]);
  const findings = new Findings();
  const { values } = resolveSettings(loadConfigSource(configPath, env, findings), {}, findings);
  const { host, port } = values.admin;
  const isReachable = port !== null && port !== 0;
  const reachable = ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host;
  const bracketed = reachable.includes(':') ? `[${reachable}]` : reachable;
  return { masterKey: values.master_key, adminUrl: isReachable ? `http://${bracketed}:${port}` : null };
}

function demoKey(dataDirectory: string): string | null {
  const path = join(dataDirectory, DATA_FILES.demoKey);
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : null;
}
