import { readFileSync } from 'node:fs';
import type { ConfiguredProcesses } from './child-messages.ts';
import type { Environment } from './start-settings.ts';

/** In any spelling, a configuration that sets host, port or `sidecar` has one of these words in its text. */
const TELLING_WORDS = /slipstream|include|environment_variables/i;

/**
 * Whether a configuration may decide about host, port or number of processes. When not, nobody has to wait for it to be
 * read. A file that can't be read is for the control plane to report.
 */
export function mayConfigureProcesses(configPath: string): boolean {
  try {
    return TELLING_WORDS.test(readFileSync(configPath, 'utf8'));
  } catch {
    return false;
  }
}

/** Null when the configuration is at fault: starting the control plane says in what. Loads the control plane's modules. */
export async function readConfiguredProcesses(
  configPath: string,
  env: Environment,
): Promise<ConfiguredProcesses | null> {
  const [{ loadConfigSource }, { Findings }, { resolveSettings }] = await Promise.all([
    import('../control/config/config-source.ts'),
    import('../control/config/findings.ts'),
    import('../control/config/resolve-settings.ts'),
  ]);
  const findings = new Findings();
  const { values } = resolveSettings(loadConfigSource(configPath, env, findings), {}, findings);
  if (findings.errors.length > 0) return null;
  return { host: values.host, port: values.port, sidecar: values.sidecar };
}
