import { readFileSync } from 'node:fs';
import type { ConfiguredProcesses } from './child-messages.ts';
import type { Environment } from './start-settings.ts';

/**
 * A file that sets listeners, host, port or `sidecar` itself has both of these in its text; `\x` and `\u` could spell them in a
 * quoted key.
 */
const SECTION = /slipstream|\\[xuU]/;
const SETTING = /\b(?:listen|host|port|sidecar|tls|proxy_protocol)\b|\\[xuU]/;
/** Or it leaves the matter to another file, or to variables. */
const ELSEWHERE = /\b(?:include|environment_variables)\b/;

/**
 * Whether a configuration may decide about addresses or number of processes. When not, nobody has to wait for it to be
 * read. A file that can't be read is for the control plane to report.
 */
export function mayConfigureProcesses(configPath: string): boolean {
  try {
    const text = readFileSync(configPath, 'utf8');
    return ELSEWHERE.test(text) || (SECTION.test(text) && SETTING.test(text));
  } catch {
    return false;
  }
}

/** Null when the configuration is at fault: starting the control plane says in what. Loads the control plane's modules. */
export async function readConfiguredProcesses(
  configPath: string,
  env: Environment,
): Promise<ConfiguredProcesses | null> {
  const [{ loadConfigSource }, { Findings }, { resolveSettings }, { compileListeners, compileTls }] = await Promise.all(
    [
      import('../control/config/config-source.ts'),
      import('../control/config/findings.ts'),
      import('../control/config/resolve-settings.ts'),
      import('../control/config/compile-listeners.ts'),
    ],
  );
  const findings = new Findings();
  const source = loadConfigSource(configPath, env, findings);
  const { values, list } = resolveSettings(source, {}, findings);
  const listeners = compileListeners(source.root, values, findings);
  if (findings.errors.length > 0) return null;
  const isSet = list.some(({ path, origin }) => path === 'threads' && origin.source !== 'default');
  return {
    host: values.host,
    port: values.port,
    listeners,
    tls: compileTls(values),
    proxyProtocol: values.proxy_protocol,
    sidecar: values.sidecar,
    threads: isSet ? values.threads : null,
  };
}
