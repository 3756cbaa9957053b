import type { Bytes } from '../base/bytes.ts';
import type { DeploymentSpec, ModelGroupSpec, SidecarSettings, Snapshot } from '../contract/snapshot.ts';
import { ENDPOINTS, ENDPOINT_NAMES, type EndpointName, type WireFamily } from '../domain/endpoints.ts';
import { type CompiledPrice, compilePrice } from '../domain/pricing/compile-price.ts';
import type { Price } from '../domain/pricing/price.ts';
import { modelSource } from '../domain/request/body-edits.ts';
import { mergeCounts, NO_COUNTS, type ErrorClassCounts } from '../domain/routing/error-class-counts.ts';
import { TrustedProxies } from '../domain/network/trusted-proxies.ts';
import { queryNames } from '../domain/request/passed-query.ts';
import { matchModelPattern } from '../domain/routing/model-pattern.ts';
import { HEADER_NAMES, HeaderId } from '../http1/header-id.ts';
import { type Cors, compileCors } from './exchange/cors.ts';
import { eventTexts, type EventTexts } from './exchange/event-texts.ts';
import { DEFAULT_LIMITS, type ParserLimits } from '../http1/limits.ts';
import { compileLoad, compileSelection, strategyOf, type CompiledSelection } from './routing/compile-selection.ts';
import type { DeploymentLoad, LoadedDeployment } from './routing/deployment-load.ts';
import type { DeploymentHealth, HealthRecord } from './routing/deployment-health.ts';
import { subjectLimits, type SubjectLimits } from './limits/subject-limits.ts';
import type { WorkerLimits } from './limits/worker-limits.ts';
import type { UpstreamPool } from './upstream/upstream-pool.ts';
import type { UpstreamPools } from './upstream/upstream-pools.ts';

/** A deployment with all that a request needs precomputed: pool, request heads, header mask, texts. */
export interface CompiledDeployment extends LoadedDeployment {
  readonly spec: DeploymentSpec;
  readonly weight: number;
  readonly order: number;
  readonly pool: UpstreamPool;
  /** JSON source of `spec.upstreamModel`. */
  readonly modelSource: Bytes;
  /** What refuses further requests; null = nothing. */
  readonly limits: SubjectLimits | null;
  /** Per endpoint: request line, host, the deployment's own headers; the client's and content-length follow. */
  readonly heads: Readonly<Record<EndpointName, string>>;
  /** Lower-case names in its own query, which win over the client's. */
  readonly ownQueryNames: ReadonlySet<string>;
  /** Host and own headers alone, for requests whose path is only known at run time. */
  readonly headerBlock: string;
  /** By `HeaderId`: does a client header of this kind go to this deployment (`ForwardRule`). */
  readonly forwards: Uint8Array;
  /** Lower-case names that never come from the client: what the deployment sets, and the one that carries keys. */
  readonly ownNames: ReadonlySet<string>;
  /** Headers sent unless the client sends them: name and whole line. */
  readonly defaultLines: readonly (readonly [name: string, line: string])[];
  /** Own header lines for the answer: model id under both names. */
  readonly answerHeaders: string;
  readonly eventTexts: EventTexts;
  /** Its breaker and its retry budget. */
  readonly health: HealthRecord;
  /** The only one of its group. */
  readonly isAlone: boolean;
  /** null: not known, or it depends on the model. */
  readonly price: CompiledPrice | null;
  /** By upstream model; null but for wildcards. */
  readonly modelPrices: ReadonlyMap<string, CompiledPrice> | null;
  /** The client names the model there. */
  readonly isWildcard: boolean;
}

export interface CompiledGroup {
  readonly name: string;
  readonly family: WireFamily;
  /** Ascending by `order`. */
  readonly deployments: readonly CompiledDeployment[];
  readonly selection: CompiledSelection;
  /** Of all keys together; null = none. */
  readonly limits: SubjectLimits | null;
  /** Group names to try in turn after this one. */
  readonly fallbacks: readonly string[];
  /** The same for prompts that are too long, and for content that was refused; null: the general ones serve. */
  readonly contextWindowFallbacks: readonly string[] | null;
  readonly contentPolicyFallbacks: readonly string[] | null;
  readonly retryPolicy: ErrorClassCounts;
  /** One deployment, named as a fallback by its id: it is tried even when it is benched. */
  readonly skipsCooldown: boolean;
  /** Its name as JSON. */
  readonly nameText: string;
}

/** A model name resolved: the group, and what its `*` matched. */
export interface ResolvedModel {
  readonly group: CompiledGroup;
  readonly matched: string;
}

export interface CompiledSnapshot {
  readonly version: string;
  readonly settings: SidecarSettings;
  readonly groups: ReadonlyMap<string, CompiledGroup>;
  readonly wildcards: readonly CompiledGroup[];
  readonly aliases: Snapshot['aliases'];
  readonly deployments: ReadonlyMap<string, CompiledDeployment>;
  /** A group of this deployment alone, for a fallback that names it by its id. */
  readonly singleGroup: (deployment: CompiledDeployment) => CompiledGroup;
  readonly masterKeyHash: Buffer | null;
  /** Null: the gateway says nothing about CORS. */
  readonly cors: Cors | null;
  /** Whose X-Forwarded-For is believed; null: nobody's. */
  readonly trustedProxies: TrustedProxies | null;
  /** For connections accepted from now on. */
  readonly parserLimits: ParserLimits;
}

/** Client headers that go to every provider (decisions.md, "What crosses, in bytes"). */
const FORWARDED_HEADERS: readonly number[] = [
  HeaderId.ContentType,
  HeaderId.Accept,
  HeaderId.UserAgent,
  HeaderId.AnthropicVersion,
  HeaderId.AnthropicBeta,
  HeaderId.OpenaiBeta,
  HeaderId.IdempotencyKey,
  HeaderId.XStainless,
  HeaderId.Traceparent,
  HeaderId.Tracestate,
];

/** What `forward_client_headers_to_llm_api` adds: the client's `x-` headers, but none that carries a key or is ours. */
const X_HEADERS: readonly number[] = [
  ...HEADER_NAMES.flatMap((name, id) => (name.startsWith('x-') ? [id] : [])),
  HeaderId.XRatelimit,
  HeaderId.XOther,
].filter((id) => id !== HeaderId.XApiKey && id !== HeaderId.XGoogApiKey && id !== HeaderId.XLitellmApiKey);

/** Many names under one id. */
const FAMILIES: readonly number[] = [HeaderId.XStainless, HeaderId.XRatelimit, HeaderId.XOther];

export const ForwardRule = {
  Drop: 0,
  Pass: 1,
  /** Pass unless its name is in `ownNames`. */
  Look: 2,
} as const;

/** What outlives a snapshot, found by name in each. */
export interface LastingParts {
  readonly pools: UpstreamPools;
  readonly load: DeploymentLoad;
  readonly health: DeploymentHealth;
  readonly limits: WorkerLimits;
}

/** Builds the frozen form that requests use. */
export function compileSnapshot(snapshot: Snapshot, { pools, load, health, limits }: LastingParts): CompiledSnapshot {
  const deployments = new Map<string, CompiledDeployment>();
  const members = new Map<string, number>();
  for (const { groupName } of snapshot.deployments) members.set(groupName, (members.get(groupName) ?? 0) + 1);
  for (const spec of snapshot.deployments) {
    const place = {
      pool: pools.poolFor(spec.origin),
      health: health.record(spec.id),
      limits: subjectLimits(limits, 'deployment', spec.id, spec.limits),
      load,
      isAlone: members.get(spec.groupName) === 1,
    };
    deployments.set(spec.id, compileDeployment(spec, place, snapshot.settings));
  }
  const compile = (group: ModelGroupSpec): CompiledGroup => {
    return compileGroup(group, deployments, subjectLimits(limits, 'model_group', group.name, group.limits), snapshot);
  };
  const hash = snapshot.settings.masterKeyHash;
  return Object.freeze({
    version: snapshot.version,
    settings: snapshot.settings,
    groups: new Map(snapshot.groups.map((group) => [group.name, compile(group)])),
    wildcards: Object.freeze(snapshot.wildcards.map(compile)),
    aliases: snapshot.aliases,
    deployments,
    singleGroup: (deployment: CompiledDeployment) => singleGroup(deployment, snapshot, compile),
    cors: compileCors(snapshot.settings),
    trustedProxies: compileTrustedProxies(snapshot.settings),
    masterKeyHash: hash === null ? null : Buffer.from(hash, 'hex'),
    parserLimits: Object.freeze({
      ...DEFAULT_LIMITS,
      maxHeadBytes: snapshot.settings.limits.maxHeadBytes,
      maxHeaders: snapshot.settings.limits.maxHeaders,
    }),
  });
}

function compileTrustedProxies({ clientAddress }: SidecarSettings): TrustedProxies | null {
  return clientAddress.trustedProxies.length === 0 ? null : new TrustedProxies(clientAddress.trustedProxies);
}

/** Alias, exact name, then wildcards from the most specific. */
export function resolveModel(snapshot: CompiledSnapshot, model: string): ResolvedModel | null {
  const alias = Object.hasOwn(snapshot.aliases, model) ? snapshot.aliases[model] : undefined;
  const name = alias === undefined ? model : alias.group;
  const exact = snapshot.groups.get(name);
  if (exact !== undefined) return { group: exact, matched: '' };
  for (const group of snapshot.wildcards) {
    const matched = matchModelPattern(group.name, name);
    if (matched !== null) return { group, matched };
  }
  return null;
}

/** What a fallback names: a group or alias, one deployment by its id, or what a wildcard takes. */
export function resolveFallback(snapshot: CompiledSnapshot, name: string): ResolvedModel | null {
  const deployment = snapshot.deployments.get(name);
  const isGroup = snapshot.groups.has(name) || Object.hasOwn(snapshot.aliases, name);
  if (deployment === undefined || isGroup || deployment.isWildcard) return resolveModel(snapshot, name);
  return { group: snapshot.singleGroup(deployment), matched: '' };
}

function singleGroup(
  { spec }: CompiledDeployment,
  { groups, wildcards }: Snapshot,
  compile: (group: ModelGroupSpec) => CompiledGroup,
): CompiledGroup {
  const { groupName: name, id } = spec;
  const whole = [...groups, ...wildcards].find((group) => group.name === name);
  const alone = compile({ name, deploymentIds: [id], limits: whole?.limits ?? null });
  return Object.freeze({ ...alone, skipsCooldown: true });
}

function fallbacksOfKind(all: Snapshot['contextWindowFallbacks'], group: string): readonly string[] | null {
  if (all === null) return null;
  const own = Object.hasOwn(all, group) ? all[group] : all['*'];
  return Object.freeze(own ?? []);
}

function compileGroup(
  group: ModelGroupSpec,
  deployments: ReadonlyMap<string, CompiledDeployment>,
  limits: SubjectLimits | null,
  snapshot: Snapshot,
): CompiledGroup {
  const members = group.deploymentIds
    .map((id) => deployments.get(id))
    .filter((deployment) => deployment !== undefined)
    .sort((a, b) => a.order - b.order);
  const specific = Object.hasOwn(snapshot.fallbacks, group.name) ? snapshot.fallbacks[group.name] : undefined;
  const fallbacks = (specific ?? snapshot.defaultFallbacks).filter((name) => name !== group.name);
  return Object.freeze({
    name: group.name,
    family: members[0]?.spec.family ?? 'openai',
    deployments: Object.freeze(members),
    selection: compileSelection(group, members, snapshot.settings.routing),
    limits,
    fallbacks: Object.freeze(fallbacks.slice(0, snapshot.settings.maxFallbacks)),
    contextWindowFallbacks: fallbacksOfKind(snapshot.contextWindowFallbacks, group.name),
    contentPolicyFallbacks: fallbacksOfKind(snapshot.contentPolicyFallbacks, group.name),
    retryPolicy: retryPolicyOf(group.name, snapshot),
    skipsCooldown: false,
    nameText: JSON.stringify(group.name),
  });
}

function retryPolicyOf(group: string, snapshot: Snapshot): ErrorClassCounts {
  const { groupRetryPolicies, settings } = snapshot;
  const own = Object.hasOwn(groupRetryPolicies, group) ? groupRetryPolicies[group] : undefined;
  return mergeCounts(own ?? NO_COUNTS, settings.failure.retryPolicy);
}

interface Place extends Pick<CompiledDeployment, 'pool' | 'health' | 'limits' | 'isAlone'> {
  readonly load: DeploymentLoad;
}

function compileDeployment(spec: DeploymentSpec, place: Place, settings: SidecarSettings): CompiledDeployment {
  const headerBlock = compileHeaderBlock(spec);
  const heads = {} as Record<EndpointName, string>;
  for (const name of ENDPOINT_NAMES) {
    heads[name] = requestLine(spec, 'POST', ENDPOINTS[name].upstreamPath) + headerBlock;
  }
  const ownNames = new Set(spec.headers.map(([name]) => name));
  if (settings.keyHeaderName !== null) ownNames.add(settings.keyHeaderName);
  return Object.freeze({
    spec,
    weight: spec.weight,
    order: spec.order,
    modelSource: modelSource(spec.upstreamModel),
    pool: place.pool,
    health: place.health,
    limits: place.limits,
    isAlone: place.isAlone,
    price: spec.price === null ? null : compilePrice(spec.price),
    modelPrices: spec.modelPrices === null ? null : compilePrices(spec.modelPrices),
    isWildcard: spec.upstreamModel.includes('*'),
    heads: Object.freeze(heads),
    ownQueryNames: queryNames(spec.query),
    headerBlock,
    forwards: compileForwards(ownNames, settings),
    ownNames,
    defaultLines: spec.defaultHeaders.map(([name, value]) => [name, `${name}: ${value}\r\n`] as const),
    answerHeaders:
      `x-slipstream-model-id: ${headerText(spec.id)}\r\nx-litellm-model-id: ${headerText(spec.id)}\r\n` +
      `x-litellm-model-group: ${headerText(spec.groupName)}\r\n`,
    ...compileLoad(spec, strategyOf(settings.routing, spec.groupName), place.load),
    eventTexts: eventTexts(spec),
  });
}

function compilePrices(prices: Readonly<Record<string, Price>>): ReadonlyMap<string, CompiledPrice> {
  return new Map(Object.entries(prices).map(([model, price]) => [model, compilePrice(price)]));
}

/** Names come from people: what no header can carry is percent-encoded. */
function headerText(name: string): string {
  return encodeURI(name.toWellFormed());
}

/** Request line to `spec` for `path` (starting with a slash), its base path and query added. */
export function requestLine(spec: DeploymentSpec, method: string, path: string): string {
  // Anthropic's endpoints carry /v1 themselves; a base that already ends in it must not double it.
  const base = path.startsWith('/v1/') && spec.basePath.endsWith('/v1') ? spec.basePath.slice(0, -3) : spec.basePath;
  let target = base + path;
  if (spec.query !== '') target += (path.includes('?') ? '&' : '?') + spec.query;
  return `${method} ${target} HTTP/1.1\r\n`;
}

function compileHeaderBlock(spec: DeploymentSpec): string {
  const { host, port, scheme } = spec.origin;
  const name = host.includes(':') ? `[${host}]` : host;
  const isDefaultPort = port === (scheme === 'https' ? 443 : 80);
  let block = `host: ${isDefaultPort ? name : `${name}:${port}`}\r\naccept-encoding: identity\r\n`;
  for (const [header, value] of spec.headers) block += `${header}: ${value}\r\n`;
  return block;
}

function compileForwards(ownNames: ReadonlySet<string>, settings: SidecarSettings): Uint8Array {
  const forwards = new Uint8Array(256);
  const ids = settings.forwardClientHeaders ? [...FORWARDED_HEADERS, ...X_HEADERS] : FORWARDED_HEADERS;
  for (const id of ids) forwards[id] = ForwardRule.Pass;
  for (const name of ownNames) {
    const id = HEADER_NAMES.indexOf(name);
    if (id !== -1) forwards[id] = ForwardRule.Drop;
    else for (const family of FAMILIES) if (forwards[family] === ForwardRule.Pass) forwards[family] = ForwardRule.Look;
  }
  return forwards;
}
