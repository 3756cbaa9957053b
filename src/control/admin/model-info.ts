import type { DeploymentSpec } from '../../contract/snapshot.ts';
import type { DeploymentInfo } from '../config/compile-config.ts';

interface ModelInfoBody {
  readonly data: {
    readonly model_name: string;
    readonly litellm_params: Record<string, unknown>;
    readonly model_info: Record<string, unknown>;
  }[];
}

export interface ModelInfoSource {
  readonly deployments: readonly DeploymentInfo[];
}

const PICO_DIGITS = 12;

/** GET /model/info in LiteLLM's shape. What is shown is chosen field by field, so that no secret can slip through. */
export function modelInfoBody(source: ModelInfoSource, wantedId: string | null): ModelInfoBody {
  const deployments = source.deployments.filter(({ spec }) => wantedId === null || spec.id === wantedId);
  return { data: deployments.map((deployment) => modelInfo(deployment)) };
}

function modelInfo({ spec, modelInfo: given }: DeploymentInfo): ModelInfoBody['data'][number] {
  const listed = spec.price?.prices ?? {};
  const prices = listed.input === undefined ? listed : { output: 0, ...listed };
  return {
    model_name: spec.groupName,
    litellm_params: withoutNulls({
      model: `${spec.provider}/${spec.upstreamModel}`,
      api_base: apiBaseOf(spec),
      rpm: spec.rpm,
      tpm: spec.tpm,
      weight: spec.weight,
      timeout: inSeconds(spec.timeoutMs),
      stream_timeout: inSeconds(spec.streamTimeoutMs),
      input_cost_per_token: inUsd(prices.input),
      output_cost_per_token: inUsd(prices.output),
    }),
    model_info: {
      ...given,
      id: spec.id,
      db_model: false,
      key: spec.upstreamModel,
      litellm_provider: spec.provider,
      input_cost_per_token: inUsd(prices.input),
      output_cost_per_token: inUsd(prices.output),
      cache_read_input_token_cost: inUsd(prices.cacheRead),
      cache_creation_input_token_cost: inUsd(prices.cacheWrite),
    },
  };
}

/** Address without query: a key can stand there. */
export function apiBaseOf({ origin, basePath }: Pick<DeploymentSpec, 'origin' | 'basePath'>): string {
  const host = origin.host.includes(':') ? `[${origin.host}]` : origin.host;
  const isDefault = origin.port === (origin.scheme === 'https' ? 443 : 80);
  return `${origin.scheme}://${host}${isDefault ? '' : `:${origin.port}`}${basePath}`;
}

function inSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}

/** For show only: the nearest binary fraction of the decimal that was written. */
function inUsd(picoUsd: number | undefined): number | null {
  return picoUsd === undefined ? null : Number(`${picoUsd}e-${PICO_DIGITS}`);
}

function withoutNulls(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
}
