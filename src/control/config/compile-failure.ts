import type { FailureSettings, Snapshot } from '../../contract/snapshot.ts';
import { type ErrorClassCounts, NO_COUNTS } from '../../domain/routing/error-class-counts.ts';
import type { CompileContext } from './compile-deployment.ts';
import { routerNode, setOwn } from './compile-routing.ts';
import { type ConfigNode, entriesOf, formatPath, isNull } from './config-node.ts';

/** LiteLLM's names of error classes, without the ending that says what is counted. */
const CLASSES: Readonly<Record<string, keyof ErrorClassCounts>> = {
  BadRequestError: 'badRequest',
  AuthenticationError: 'authentication',
  TimeoutError: 'timeout',
  RateLimitError: 'rateLimit',
  ContentPolicyViolationError: 'contentPolicy',
  InternalServerError: 'internal',
};
const MAX_COUNT = 100_000;

export function compileFailure(context: CompileContext): FailureSettings {
  const { cooldown, retries, health_checks: checks } = context.settings;
  return {
    cooldownMs: cooldown.time,
    allowedFails: cooldown.allowed_fails,
    allowedFailsPolicy: readCounts('allowed_fails_policy', 'AllowedFails', context),
    areCooldownsOff: cooldown.disabled,
    retryPolicy: readCounts('retry_policy', 'Retries', context),
    backOff: { initialMs: retries.backoff_initial, maxMs: retries.backoff_max, floorMs: retries.min_wait },
    retryBudget: { ratio: retries.budget_ratio, floor: retries.budget_floor },
    healthChecks: {
      inBackground: checks.background,
      intervalMs: checks.interval,
      steerRouting: checks.routing,
      ignoreTransient: checks.ignore_transient_errors,
      prompt: checks.prompt,
    },
  };
}

/** `model_group_retry_policy`. */
export function compileGroupRetryPolicies(context: CompileContext): Snapshot['groupRetryPolicies'] {
  const found = routerNode('model_group_retry_policy', context);
  const policies: Record<string, ErrorClassCounts> = {};
  if (found === null) return policies;
  const [node, path] = found;
  if (node.kind !== 'map' && !isNull(node)) {
    context.findings.error(node.position, formatPath(path), 'must be a map of groups to policies');
  }
  for (const [group, entry] of entriesOf(node)) {
    setOwn(policies, group, parseCounts(entry.node, [...path, group], 'Retries', context));
  }
  return policies;
}

function readCounts(key: string, ending: string, context: CompileContext): ErrorClassCounts {
  const found = routerNode(key, context);
  return found === null ? NO_COUNTS : parseCounts(found[0], found[1], ending, context);
}

function parseCounts(
  node: ConfigNode,
  path: readonly string[],
  ending: string,
  context: CompileContext,
): ErrorClassCounts {
  const { findings } = context;
  const counts: Record<keyof ErrorClassCounts, number | null> = { ...NO_COUNTS };
  if (node.kind !== 'map' && !isNull(node)) {
    findings.error(node.position, formatPath(path), `must be a map such as {TimeoutError${ending}: 2}`);
  }
  for (const [name, entry] of entriesOf(node)) {
    const where = formatPath([...path, name]);
    const field = name.endsWith(ending) ? CLASSES[name.slice(0, -ending.length)] : undefined;
    const value = entry.node.kind === 'scalar' ? Number(entry.node.text) : Number.NaN;
    if (isNull(entry.node)) continue;
    if (field === undefined) findings.warn(entry.keyPosition, where, 'no such class of errors is known', 'unknown');
    else if (Number.isInteger(value) && value >= 0 && value <= MAX_COUNT) counts[field] = value;
    else findings.error(entry.node.position, where, `must be a whole number from 0 to ${MAX_COUNT}`);
  }
  return counts;
}
