import type { ModelGroupSpec, DeploymentSpec, SidecarSettings, Snapshot } from '../contract/snapshot.ts';
import type { WireFamily } from '../domain/endpoints.ts';
import { mergeCounts, NO_COUNTS, type ErrorClassCounts } from '../domain/routing/error-class-counts.ts';
import { TrustedProxies } from '../domain/network/trusted-proxies.ts';
import { matchModelPattern } from '../domain/routing/model-pattern.ts';
import type { GaugeCell } from '../runtime/metrics-registry.ts';
import { compileDetails, type DeploymentDetails } from './deployment-details.ts';
import { type Cors, compileCors } from './exchange/cors.ts';
import { DEFAULT_LIMITS, type ParserLimits } from '../http1/limits.ts';
import { compileLoad, compileSelection, strategyOf, type CompiledSelection } from './routing/compile-selection.ts';
import type { DeploymentLoad, LoadedDeployment } from './routing/deployment-load.ts';
import type { DeploymentHealth, HealthRecord } from './routing/deployment-health.ts';
import { Budget } from './budgets/budget.ts';
import { subjectLimits, type SubjectLimits } from './limits/subject-limits.ts';
import type { WorkerLimits } from './limits/worker-limits.ts';
import type { UpstreamPool } from './upstream/upstream-pool.ts';
import type { UpstreamPools } from './upstream/upstream-pools.ts';

interface DeploymentPlace {
  readonly pool: UpstreamPool;
  readonly health: HealthRecord;
  readonly limits: SubjectLimits | null;
  /** What may be spent there and at its provider; null = as much as one likes. */
  readonly budgets: readonly Budget[] | null;
  readonly isAlone: boolean;
  readonly load: LoadedDeployment;
}

/**
 * A deployment: where this worker reaches and counts it, and the details of its requests. Those are made when the first
 * request asks for them and then kept, for a configuration may have thousands of deployments and is applied while requests
 * wait: 2,000 of them take 3 ms instead of 25 (bench/micro/apply-snapshot.ts), the first request of each 10 µs more.
 */
export class CompiledDeployment implements LoadedDeployment, DeploymentDetails {
  readonly spec: DeploymentSpec;
  readonly weight: number;
  readonly order: number;
  readonly pool: UpstreamPool;
  /** What refuses further requests; null = nothing. */
  readonly limits: SubjectLimits | null;
  /** What may be spent there and at its provider; null = as much as one likes. */
  readonly budgets: readonly Budget[] | null;
  /** Its breaker and its retry budget. */
  readonly health: HealthRecord;
  /** The only one of its group. */
  readonly isAlone: boolean;
  /** The client names the model there. */
  readonly isWildcard: boolean;
  readonly loadRow: number;
  readonly inFlightGauge: GaugeCell;
  readonly latencyTtlMs: number;
  readonly tracksUsage: boolean;
  readonly #settings: SidecarSettings;
  #details: DeploymentDetails | null = null;

  constructor(spec: DeploymentSpec, place: DeploymentPlace, settings: SidecarSettings) {
    this.spec = spec;
    this.weight = spec.weight;
    this.order = spec.order;
    this.pool = place.pool;
    this.limits = place.limits;
    this.budgets = place.budgets;
    this.health = place.health;
    this.isAlone = place.isAlone;
    this.isWildcard = spec.upstreamModel.includes('*');
    this.loadRow = place.load.loadRow;
    this.inFlightGauge = place.load.inFlightGauge;
    this.latencyTtlMs = place.load.latencyTtlMs;
    this.tracksUsage = place.load.tracksUsage;
    this.#settings = settings;
    Object.freeze(this); // but for what is private
  }

  get modelSource(): DeploymentDetails['modelSource'] {
    return this.#onDemand().modelSource;
  }

  get heads(): DeploymentDetails['heads'] {
    return this.#onDemand().heads;
  }

  get ownQueryNames(): DeploymentDetails['ownQueryNames'] {
    return this.#onDemand().ownQueryNames;
  }

  get headerBlock(): DeploymentDetails['headerBlock'] {
    return this.#onDemand().headerBlock;
  }

  get forwards(): DeploymentDetails['forwards'] {
    return this.#onDemand().forwards;
  }

  get ownNames(): DeploymentDetails['ownNames'] {
    return this.#onDemand().ownNames;
  }

  get defaultLines(): DeploymentDetails['defaultLines'] {
    return this.#onDemand().defaultLines;
  }

  get answerHeaders(): DeploymentDetails['answerHeaders'] {
    return this.#onDemand().answerHeaders;
  }

  get firstAnswerHeaders(): DeploymentDetails['firstAnswerHeaders'] {
    return this.#onDemand().firstAnswerHeaders;
  }

  get eventTexts(): DeploymentDetails['eventTexts'] {
    return this.#onDemand().eventTexts;
  }

  get prices(): DeploymentDetails['prices'] {
    return this.#onDemand().prices;
  }

  #onDemand(): DeploymentDetails {
    return (this.#details ??= compileDetails(this.spec, this.#settings));
  }
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
  /** Of all requests together; null = none. */
  readonly globalBudget: Budget | null;
  readonly masterKeyHash: Buffer | null;
  /** Null: the gateway says nothing about CORS. */
  readonly cors: Cors | null;
  /** Whose X-Forwarded-For is believed; null: nobody's. */
  readonly trustedProxies: TrustedProxies | null;
  /** For connections accepted from now on. */
  readonly parserLimits: ParserLimits;
}

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
  const { settings } = snapshot;
  limits.timeZone = settings.budgets.timeZone;
  const providerBudgets = new Map<string, Budget>();
  for (const [provider, spec] of Object.entries(settings.budgets.providers)) {
    providerBudgets.set(provider, new Budget(limits, 'provider', provider, spec));
  }
  const { global } = settings.budgets;
  const members = new Map<string, number>();
  for (const { groupName } of snapshot.deployments) members.set(groupName, (members.get(groupName) ?? 0) + 1);
  for (const spec of snapshot.deployments) {
    const place = {
      pool: pools.poolFor(spec.origin),
      health: health.record(spec.id),
      limits: subjectLimits(limits, 'deployment', spec.id, spec.limits),
      budgets: deploymentBudgets(spec, providerBudgets, limits),
      isAlone: members.get(spec.groupName) === 1,
      load: compileLoad(spec, strategyOf(settings.routing, spec.groupName), load),
    };
    deployments.set(spec.id, new CompiledDeployment(spec, place, settings));
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
    globalBudget: global === null ? null : new Budget(limits, 'global', 'all', global),
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

function deploymentBudgets(
  { id, provider, budget }: DeploymentSpec,
  providers: ReadonlyMap<string, Budget>,
  limits: WorkerLimits,
): readonly Budget[] | null {
  const own = budget === undefined ? null : new Budget(limits, 'deployment', id, budget);
  const budgets = [own, providers.get(provider) ?? null].filter((found) => found !== null);
  return budgets.length === 0 ? null : budgets;
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
