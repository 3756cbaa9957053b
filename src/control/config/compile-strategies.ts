import { z } from 'zod';
import type { ModelGroupSpec, RoutingSettings, StrategySpec } from '../../contract/snapshot.ts';
import type { CompileContext } from './compile-deployment.ts';
import { ENFORCE_MODEL_RATE_LIMITS } from './compile-limits.ts';
import { type ConfigNode, formatPath, itemsOf, nodeAt, positionAt, toTexts } from './config-node.ts';
import { isUnsupportedStrategy, STRATEGY_NAMES, strategyNamed, UNSUPPORTED_STRATEGIES } from './strategy-names.ts';
import { choice, number, seconds, text, texts } from './value-schemas.ts';

/** What `optional_pre_call_checks` may turn on, and what it may name though nothing here is turned on by it. */
const AFFINITY_CHECKS = ['prompt_caching', 'session_affinity', 'deployment_affinity'] as const;
/** What a response made is always looked for where it was made. */
const ALWAYS_ON_CHECKS = ['responses_api_deployment_check'];
/** Honoured by compile-limits.ts. */
const LIMIT_CHECKS = [ENFORCE_MODEL_RATE_LIMITS];

const routingGroupSchema = z.object({
  group_name: text(),
  models: texts(),
  routing_strategy: choice(STRATEGY_NAMES, UNSUPPORTED_STRATEGIES).optional(),
  routing_strategy_args: z
    .object({ ttl: seconds().optional(), lowest_latency_buffer: number(0, 1000).optional() })
    .optional(),
});

/** How deployments are chosen: the strategy of all groups, those of single groups, tags and affinity. */
export function compileStrategies(groups: readonly ModelGroupSpec[], context: CompileContext): RoutingSettings {
  const { routing } = context.settings;
  const strategy: StrategySpec = {
    name: strategyNamed(routing.strategy),
    latencyTtlMs: routing.latency_ttl,
    latencyBuffer: routing.latency_buffer,
  };
  const checks = readChecks(context);
  return {
    strategy,
    groupStrategies: compileRoutingGroups(strategy, groups, context),
    tagFiltering: routing.tag_filtering ? (routing.tag_filtering_match_any ? 'any' : 'all') : 'off',
    affinity: {
      session: routing.session_affinity || checks.has('session_affinity'),
      key: routing.key_affinity || checks.has('deployment_affinity'),
      prefixBytes: routing.prefix_affinity || checks.has('prompt_caching') ? routing.prefix_affinity_bytes : 0,
      prefixSpill: routing.prefix_affinity_spill,
    },
  };
}

function readChecks(context: CompileContext): ReadonlySet<string> {
  const found = routerNode('optional_pre_call_checks', context);
  if (found === null) return new Set();
  const [node, path] = found;
  const parsed = z.array(text()).safeParse(toTexts(node));
  if (!parsed.success) {
    context.findings.error(node.position, formatPath(path), 'must be a list of names');
    return new Set();
  }
  const known: readonly string[] = [...AFFINITY_CHECKS, ...ALWAYS_ON_CHECKS, ...LIMIT_CHECKS];
  for (const name of parsed.data) {
    if (known.includes(name)) continue;
    context.findings.warn(node.position, formatPath(path), `${name} is not in this version`, 'unsupported');
  }
  return new Set(parsed.data);
}

/** LiteLLM's `routing_groups`: several model groups with a strategy of their own; `models` are names of groups. */
function compileRoutingGroups(
  base: StrategySpec,
  groups: readonly ModelGroupSpec[],
  context: CompileContext,
): Record<string, StrategySpec> {
  const strategies: Record<string, StrategySpec> = {};
  const found = routerNode('routing_groups', context);
  if (found === null) return strategies;
  const [list, path] = found;
  if (list.kind !== 'list') context.findings.error(list.position, formatPath(path), 'must be a list');
  for (const [index, item] of itemsOf(list).entries()) {
    const parsed = routingGroupSchema.safeParse(toTexts(item));
    const where = formatPath([...path, index]);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const keys = (issue?.path ?? []).map((step) => (typeof step === 'number' ? step : String(step)));
      const full = [...path, index, ...keys];
      const position = positionAt(context.source.root, full);
      context.findings.error(position, formatPath(full), issue?.message ?? 'is not valid');
      continue;
    }
    const { models, routing_strategy: name, routing_strategy_args: args } = parsed.data;
    if (name !== undefined && isUnsupportedStrategy(name)) {
      const message = `${name} is not in this version: simple-shuffle is used`;
      context.findings.warn(item.position, where, message, 'unsupported');
    }
    for (const model of models) {
      if (!groups.some((group) => group.name === model)) {
        context.findings.warn(item.position, where, `no model is called ${model}`);
      } else if (Object.hasOwn(strategies, model)) {
        context.findings.error(item.position, where, `${model} is in two routing groups`);
      } else {
        strategies[model] = {
          name: name === undefined ? base.name : strategyNamed(name),
          latencyTtlMs: args?.ttl ?? base.latencyTtlMs,
          latencyBuffer: args?.lowest_latency_buffer ?? base.latencyBuffer,
        };
      }
    }
  }
  return strategies;
}

function routerNode(key: string, { source }: CompileContext): readonly [ConfigNode, readonly string[]] | null {
  for (const section of ['router_settings', 'litellm_settings']) {
    const node = nodeAt(source.root, [section, key]);
    if (node !== null) return [node, [section, key]];
  }
  return null;
}
