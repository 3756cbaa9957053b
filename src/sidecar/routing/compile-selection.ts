import { hash } from 'node:crypto';
import type { DeploymentSpec, ModelGroupSpec, RoutingSettings, StrategySpec } from '../../contract/snapshot.ts';
import type { RoutingStrategy } from '../../domain/routing/routing-strategy.ts';
import type { AffinityView } from '../../domain/routing/strategies/affinity.ts';
import { comparedCost } from '../../domain/routing/strategies/lowest-cost.ts';
import type { CompiledDeployment } from '../compiled-snapshot.ts';
import type { DeploymentLoad, LoadedDeployment } from './deployment-load.ts';
import { GroupTags } from './group-tags.ts';

/** How a group chooses; all that the configuration decides of it, as numbers by place in the group's list. */
export interface CompiledSelection {
  readonly strategy: RoutingStrategy;
  readonly latencyBuffer: number;
  readonly weights: Float64Array;
  readonly costs: Float64Array;
  readonly tokenLimits: Float64Array;
  readonly requestLimits: Float64Array;
  /** Some deployment has an `rpm` or `tpm`. */
  readonly hasLimits: boolean;
  /** null: no affinity of any kind is on. */
  readonly affinity: CompiledAffinity | null;
  /** null: tags don't decide. */
  readonly tags: GroupTags | null;
}

export interface CompiledAffinity extends AffinityView {
  readonly session: boolean;
  readonly key: boolean;
  /** 0 = off. */
  readonly prefixBytes: number;
  readonly prefixSpill: number;
}

/** The strategy of a group: its own, or else everybody's. */
export function strategyOf(routing: RoutingSettings, groupName: string): StrategySpec {
  const own = Object.hasOwn(routing.groupStrategies, groupName) ? routing.groupStrategies[groupName] : undefined;
  return own ?? routing.strategy;
}

/** What a deployment's group wants counted of it. */
export function compileLoad(spec: DeploymentSpec, strategy: StrategySpec, load: DeploymentLoad): LoadedDeployment {
  const { name, latencyTtlMs } = strategy;
  const asksLatency = name === 'latency-based-routing' || name === 'power-of-two';
  const mindsLimits = name === 'latency-based-routing' || name === 'cost-based-routing';
  return {
    ...load.placeOf(spec.id),
    latencyTtlMs: asksLatency ? latencyTtlMs : 0,
    tracksUsage: name === 'usage-based-routing' || (mindsLimits && hasLimit(spec)),
  };
}

function hasLimit({ rpm, tpm }: DeploymentSpec): boolean {
  return rpm !== null || tpm !== null;
}

/** @param members in the order of the group's list. */
export function compileSelection(
  group: ModelGroupSpec,
  members: readonly CompiledDeployment[],
  routing: RoutingSettings,
): CompiledSelection {
  const strategy = strategyOf(routing, group.name);
  const numbers = (read: (member: CompiledDeployment) => number): Float64Array => numbersOf(members, read);
  const weights = numbers((member) => member.weight);
  const { affinity, tagFiltering } = routing;
  const hasAffinity = members.length > 1 && (affinity.session || affinity.key || affinity.prefixBytes > 0);
  return Object.freeze({
    strategy: strategy.name,
    latencyBuffer: strategy.latencyBuffer,
    weights,
    costs: numbers((member) => comparedCost(member.spec.price)),
    tokenLimits: numbers((member) => member.spec.tpm ?? Infinity),
    requestLimits: numbers((member) => member.spec.rpm ?? Infinity),
    hasLimits: members.some(({ spec }) => hasLimit(spec)),
    affinity: hasAffinity ? Object.freeze({ ...affinity, weights, seeds: seedsOf(members) }) : null,
    tags: tagFiltering === 'off' ? null : new GroupTags(members.map(taggedOf), tagFiltering),
  });
}

/** `Float64Array.from`, at a fifth of its cost: thousands of these are made for a snapshot. */
function numbersOf(members: readonly CompiledDeployment[], read: (member: CompiledDeployment) => number): Float64Array {
  const numbers = new Float64Array(members.length);
  for (let index = 0; index < members.length; index += 1) numbers[index] = read(members[index]!);
  return numbers;
}

function seedsOf(members: readonly CompiledDeployment[]): Uint32Array {
  return Uint32Array.from(members, ({ spec }) => Number.parseInt(hash('sha256', spec.id, 'hex').slice(0, 8), 16));
}

function taggedOf({ spec }: CompiledDeployment): { tags: readonly string[]; patterns: readonly RegExp[] } {
  return { tags: spec.tags, patterns: spec.tagPatterns.map((pattern) => new RegExp(pattern)) };
}
