import { MASTER_KEY, TEST_KEY } from '../../support/sidecar-harness.ts';

export interface ModelEntry {
  /** Public name; entries with the same one are a group. */
  readonly name: string;
  /** `api_base` */
  readonly base: string;
  /** After `openai/`. Default `mock`. */
  readonly upstream?: string;
  /** More of `litellm_params`, such as `order: 2`. */
  readonly params?: string;
}

export interface YamlParts {
  readonly models: readonly ModelEntry[];
  readonly timeouts: Readonly<Record<string, number>>;
  readonly slipstream: readonly string[];
  /** Default 1. */
  readonly threads?: number;
}

/** Limits that are kept count of and never reached, so that what takes them and gives them back is at work. */
const LIMITS = 'rpm_limit: 2000000000, tpm_limit: 2000000000, max_parallel_requests: 1000000';

export function gatewayYaml({ models, timeouts, slipstream, threads = 1 }: YamlParts): string {
  const entries = models.map(({ name, base, upstream = 'mock', params }) => {
    const more = params === undefined ? '' : `, ${params}`;
    return `  - { model_name: "${name}", litellm_params: { model: "openai/${upstream}", api_base: "${base}", api_key: sk-provider${more} } }`;
  });
  const limits = Object.entries(timeouts).map(([name, seconds]) => `${name}: ${seconds}`);
  return [
    'model_list:',
    ...entries,
    `general_settings: { master_key: ${MASTER_KEY} }`,
    'slipstream:',
    `  keys: [ { key: ${TEST_KEY}, ${LIMITS} } ]`,
    `  threads: ${threads}`,
    ...(limits.length === 0 ? [] : [`  timeouts: { ${limits.join(', ')} }`]),
    ...slipstream.map((line) => `  ${line}`),
    '',
  ].join('\n');
}
