import type { Environment } from './config-source.ts';
import type { Findings, WarningKind } from './findings.ts';

const NO_CREDENTIALS = 'no provider credentials are stored in this version';

/** Variables of LiteLLM's, and ours of the same meaning, that somebody set for something that is not there. */
const NOT_HONOURED: Readonly<Record<string, readonly [WarningKind, string]>> = {
  STORE_MODEL_IN_DB: ['unsupported', 'models come from the file only in this version'],
  SLIPSTREAM_SALT_KEY: ['ignored', NO_CREDENTIALS],
  LITELLM_SALT_KEY: ['ignored', NO_CREDENTIALS],
};

const OFF = /^(?:|false|no|off|0)$/i;

/** One warning for each variable that is set and does nothing. */
export function reportEnvironment(environment: Environment, findings: Findings): void {
  for (const [name, [kind, note]] of Object.entries(NOT_HONOURED)) {
    const value = environment[name];
    if (value !== undefined && !OFF.test(value)) findings.warn(null, name, `${kind}: ${note}`, kind);
  }
}
