import { createHash, randomBytes } from 'node:crypto';

/** Names differ, and in length, so that `model` has to be spliced in both directions. */
export const PUBLIC_MODEL = 'bench-model';
export const UPSTREAM_MODEL = 'mock-upstream';

export interface GatewayConfig {
  readonly yaml: string;
  /** The one virtual key, of all in the configuration, that is used. */
  readonly key: string;
}

/** Limits that are there, are kept count of, and are never reached. */
const LIMITS = 'rpm_limit: 2000000000, tpm_limit: 2000000000, max_parallel_requests: 1000000';

/** A configuration with everything on: virtual keys with limits, owners and a model list; usage; cost; journal; metrics. */
export function gatewayConfig(options: {
  readonly mockPort: number;
  /** The mock speaks TLS, with a certificate that nobody vouches for. */
  readonly isTls: boolean;
  readonly threads: number | null;
  readonly keyCount: number;
}): GatewayConfig {
  const key = `sk-${randomBytes(32).toString('base64url')}`;
  const usedAt = Math.floor(options.keyCount / 2);
  const keys = Array.from({ length: options.keyCount }, (_, i) => {
    const hash = createHash('sha256')
      .update(i === usedAt ? key : randomBytes(32))
      .digest('hex');
    return `    - { key_hash: "${hash}", alias: key-${i}, user_id: user-${i % 100}, models: [${PUBLIC_MODEL}], ${LIMITS} }`;
  });
  const yaml = [
    'model_list:',
    `  - model_name: ${PUBLIC_MODEL}`,
    '    litellm_params:',
    `      model: openai/${UPSTREAM_MODEL}`,
    `      api_base: ${options.isTls ? 'https' : 'http'}://127.0.0.1:${options.mockPort}/v1`,
    ...(options.isTls ? ['      ssl_verify: false'] : []),
    '      api_key: sk-upstream-of-the-bench',
    '      input_cost_per_token: 0.00000015',
    '      output_cost_per_token: 0.0000006',
    'general_settings:',
    `  master_key: sk-${randomBytes(24).toString('base64url')}`,
    'slipstream:',
    ...(options.threads === null ? [] : [`  threads: ${options.threads}`]),
    '  users:',
    ...Array.from({ length: 100 }, (_, i) => `    - { user_id: user-${i} }`),
    '  keys:',
    ...keys,
    '',
  ].join('\n');
  return { yaml, key };
}
