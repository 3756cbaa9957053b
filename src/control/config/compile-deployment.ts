import type { DeploymentSpec, HealthCheckSpec, OriginSpec } from '../../contract/snapshot.ts';
import { type ResolvedProvider, resolveProvider } from '../../domain/providers/resolve-provider.ts';
import type { PriceBook } from '../pricing/find-price.ts';
import {
  credentialHeaders,
  DEFAULT_ANTHROPIC_VERSION,
  headerFault,
  type HeaderList,
  isHeaderValue,
  mergeHeaders,
} from './compile-headers.ts';
import { compileDeploymentBudget } from './compile-budgets.ts';
import { compileDeploymentLimits } from './compile-limits.ts';
import { type BaseUrl, chooseProxy, parseBaseUrl } from './compile-origin.ts';
import { compilePrices } from './compile-price.ts';
import { formatPath, nodeAt, positionAt } from './config-node.ts';
import type { ConfigSource } from './config-source.ts';
import type { Findings } from './findings.ts';
import type { LitellmParams, ModelEntry } from './litellm-schema.ts';
import type { PemFiles } from './pem-files.ts';
import type { Settings } from './settings-schema.ts';

export interface CompileContext {
  readonly source: ConfigSource;
  readonly settings: Settings;
  readonly pemFiles: PemFiles;
  readonly prices: PriceBook;
  readonly findings: Findings;
}

/** A deployment before its group is known: id, weight and order depend on the others. */
export interface DeploymentDraft {
  readonly spec: Omit<DeploymentSpec, 'id' | 'weight' | 'order'>;
  /** `model_info.id`, if any. */
  readonly givenId: string | null;
  /** What makes the deployment; its hash is the id where none is given. */
  readonly identity: readonly string[];
  readonly weight: number | null;
  readonly order: number | null;
  /** Path of its entry in the configuration. */
  readonly path: readonly (string | number)[];
}

/** The deployments that one entry of `model_list` stands for: none if it can't be served, one per organization. */
export function compileDeployments(
  entry: ModelEntry,
  path: readonly (string | number)[],
  context: CompileContext,
): DeploymentDraft[] {
  const params = entry.litellm_params;
  const report = new EntryReport(path, context);
  const provider = findProvider(entry, report);
  if (provider === null) return [];
  const base = findBaseUrl(params, provider, report);
  if (base === null) return [];
  const origin = compileOrigin(params, base, report);
  const prices = compilePrices(entry, provider, context.prices, report);
  const organizations = params.organization ?? [null];
  return organizations.map((organization) => {
    const headers = compileHeaders(params, provider, organization, report);
    return {
      spec: {
        groupName: entry.model_name,
        family: provider.spec.family,
        provider: provider.name,
        upstreamModel: provider.model,
        origin,
        basePath: basePath(base, provider),
        query: compileQuery(base, params.api_version),
        headers,
        defaultHeaders: provider.spec.family === 'anthropic' ? [['anthropic-version', DEFAULT_ANTHROPIC_VERSION]] : [],
        rpm: params.rpm ?? null,
        tpm: params.tpm ?? null,
        tags: params.tags ?? [],
        tagPatterns: compilePatterns(params.tag_regex ?? [], report),
        limits: compileDeploymentLimits(params, context),
        ...compileDeploymentBudget(params),
        timeoutMs: params.timeout ?? null,
        streamTimeoutMs: params.stream_timeout ?? null,
        injectsUsage: params.inject_stream_usage ?? context.settings.inject_stream_usage,
        ...prices,
        cooldownMs: params.cooldown_time ?? null,
        healthCheck: compileHealthCheck(entry),
      },
      givenId: suffixed(entry.model_info?.id ?? null, params.organization, organization),
      identity: [
        entry.model_name,
        provider.name,
        provider.model,
        `${base.scheme}://${base.host}:${base.port}${base.path}?${base.query}`,
        params.api_version ?? '',
        organization ?? '',
        report.envNameAt(['litellm_params', 'api_key']),
      ],
      weight: params.weight ?? null,
      order: params.order ?? null,
      path,
    };
  });
}

class EntryReport {
  readonly #path: readonly (string | number)[];
  readonly context: CompileContext;

  constructor(path: readonly (string | number)[], context: CompileContext) {
    this.#path = path;
    this.context = context;
  }

  error(path: readonly string[], message: string): void {
    const full = [...this.#path, ...path];
    this.context.findings.error(positionAt(this.context.source.root, full), formatPath(full), message);
  }

  warn(path: readonly string[], message: string, kind: 'other' | 'unsupported' = 'other'): void {
    const full = [...this.#path, ...path];
    this.context.findings.warn(positionAt(this.context.source.root, full), formatPath(full), message, kind);
  }

  /** The variable that a value was taken from, or ''. Tells apart deployments that differ in their key alone. */
  envNameAt(path: readonly string[]): string {
    const node = nodeAt(this.context.source.root, [...this.#path, ...path]);
    return node?.kind === 'scalar' ? (node.envName ?? '') : '';
  }
}

function findProvider(entry: ModelEntry, report: EntryReport): ResolvedProvider | null {
  const params = entry.litellm_params;
  const resolution = resolveProvider(params.model, params.custom_llm_provider ?? null, apiBase(params) !== null);
  if (resolution.kind === 'unsupported') {
    const how = `the provider ${resolution.name} is not supported by this version`;
    report.warn(['litellm_params', 'model'], `${how}: this deployment is left out`, 'unsupported');
    return null;
  }
  if (resolution.model.includes('*') && !entry.model_name.includes('*')) {
    report.warn(['litellm_params', 'model'], 'has a * but model_name has none to fill it: this deployment is left out');
    return null;
  }
  return resolution;
}

function apiBase(params: LitellmParams): string | null {
  return params.api_base ?? params.base_url ?? null;
}

function findBaseUrl(params: LitellmParams, provider: ResolvedProvider, report: EntryReport): BaseUrl | null {
  const { environment } = report.context.source;
  const given = apiBase(params);
  const variable = provider.spec.baseUrlEnv.find((name) => (environment[name] ?? '') !== '');
  const text = given ?? (variable === undefined ? provider.spec.baseUrl : (environment[variable] ?? null));
  if (text === null) {
    report.error(['litellm_params', 'api_base'], `is missing: ${provider.name} has no address of its own`);
    return null;
  }
  const base = parseBaseUrl(text);
  const where = given === null && variable !== undefined ? ` (from ${variable})` : '';
  if (base === null) {
    report.error(['litellm_params', 'api_base'], `must be a URL that begins with http:// or https://${where}`);
    return null;
  }
  if (base.hasUserInfo) report.warn(['litellm_params', 'api_base'], `user and password in it are not sent${where}`);
  return base;
}

function basePath(base: BaseUrl, provider: ResolvedProvider): string {
  const path = base.path === '' ? provider.spec.pathWhenBare : base.path;
  // Anthropic's endpoints carry /v1 themselves; LiteLLM takes the address with and without it.
  return provider.spec.family === 'anthropic' ? path.replace(/\/v1(?:\/messages)?$/, '') : path;
}

function compileQuery(base: BaseUrl, apiVersion: string | undefined): string {
  const version = apiVersion === undefined ? '' : `api-version=${encodeURIComponent(apiVersion)}`;
  return [base.query, version].filter((part) => part !== '').join('&');
}

function compileHeaders(
  params: LitellmParams,
  provider: ResolvedProvider,
  organization: string | null,
  report: EntryReport,
): HeaderList {
  const extra = Object.entries(params.extra_headers ?? {}).filter(([name, value]) => {
    const fault = headerFault(name, value);
    if (fault !== null) report.error(['litellm_params', 'extra_headers', name], fault);
    return fault === null;
  });
  if (organization !== null && !isHeaderValue(organization)) {
    report.error(['litellm_params', 'organization'], 'has characters that a header cannot carry');
    return extra;
  }
  const own: HeaderList = organization === null ? [] : [['openai-organization', organization]];
  return mergeHeaders(compileCredential(params, provider, report), own, extra);
}

/** LiteLLM skips a pattern that is not valid, which would send its requests elsewhere in silence. */
function compilePatterns(patterns: readonly string[], report: EntryReport): readonly string[] {
  if (!patterns.every(isPattern)) report.error(['litellm_params', 'tag_regex'], 'is not a regular expression');
  return patterns;
}

function isPattern(source: string): boolean {
  try {
    return new RegExp(source) instanceof RegExp;
  } catch {
    return false;
  }
}

function compileCredential(params: LitellmParams, provider: ResolvedProvider, report: EntryReport): HeaderList {
  const { environment } = report.context.source;
  const { keyEnv, keyless, credential } = provider.spec;
  const variable = keyEnv.find((name) => (environment[name] ?? '').trim() !== '');
  const key = params.api_key ?? (variable === undefined ? null : (environment[variable] ?? '').trim());
  if (key === null) {
    const hasOther = params.extra_headers !== undefined || keyless || apiBase(params) !== null;
    if (!hasOther) {
      const where = keyEnv.length === 0 ? '' : `, and ${keyEnv[0]} is not set`;
      report.warn(['litellm_params'], `has no api_key${where}: requests go without a credential`);
    }
    return [];
  }
  if (!isHeaderValue(key)) {
    const where = params.api_key === undefined ? ` (from ${variable})` : '';
    report.error(['litellm_params', 'api_key'], `has characters that a header cannot carry${where}`);
    return [];
  }
  return credentialHeaders(credential, key);
}

function compileOrigin(params: LitellmParams, base: BaseUrl, report: EntryReport): OriginSpec {
  const { settings, pemFiles, source } = report.context;
  const verify = params.ssl_verify ?? settings.ssl_verify;
  const proxy = chooseProxy(base, source.environment);
  if (proxy.faultyVariable !== null) {
    report.error([], `${proxy.faultyVariable} must be http://host:port; other kinds of proxy are not supported`);
  }
  const readPem = (path: string, key: string): string | null => {
    const file = pemFiles.get(path);
    if (file.fault !== null) report.error(['litellm_params', key], file.fault);
    return file.text;
  };
  const isTls = base.scheme === 'https';
  const certificate =
    isTls && settings.ssl_certificate !== null ? readPem(settings.ssl_certificate, 'ssl_certificate') : null;
  return {
    scheme: base.scheme,
    host: base.host,
    port: base.port,
    socketPath: null,
    tls: {
      verify: verify !== false,
      caPem: isTls && typeof verify === 'string' ? readPem(verify, 'ssl_verify') : null,
      certPem: certificate,
      keyPem: certificate,
      serverName: null,
    },
    proxyUrl: proxy.url,
    maxConnections: settings.max_connections_per_origin,
  };
}

const HEALTH_CHECK_TIMEOUT_MS = 60_000;
const HEALTH_CHECK_MAX_TOKENS = 5;

function compileHealthCheck({ model_info: info }: ModelEntry): HealthCheckSpec {
  const model = info?.health_check_model ?? null;
  return {
    mode: info?.mode ?? 'chat',
    // It may be written with its provider, as `model` is.
    model: model === null ? null : model.slice(model.indexOf('/') + 1),
    timeoutMs: info?.health_check_timeout ?? HEALTH_CHECK_TIMEOUT_MS,
    maxTokens: info?.health_check_max_tokens ?? HEALTH_CHECK_MAX_TOKENS,
    isBackgroundOff: info?.disable_background_health_check ?? false,
  };
}

/** Several organizations make several deployments of one entry: each needs an id of its own. */
function suffixed(id: string | null, all: readonly string[] | undefined, organization: string | null): string | null {
  if (id === null || all === undefined || all.length < 2) return id;
  return `${id}-${organization ?? ''}`;
}
