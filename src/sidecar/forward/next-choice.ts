import { fillModelPattern } from '../../domain/routing/model-pattern.ts';
import type { AfterFailure } from '../../domain/routing/retry-rule.ts';
import { resolveModel, type CompiledDeployment, type ResolvedModel } from '../compiled-snapshot.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { isBarredByTags, selectDeployment } from '../routing/select-deployment.ts';

/** A deployment to try, and the name of the model there. */
export interface Choice {
  readonly deployment: CompiledDeployment;
  readonly upstreamModel: string;
}

/** The first deployment of a request's group, or null if the group has none. */
export function firstChoice(exchange: Exchange): Choice | null {
  if (exchange.pinned !== null) return take(exchange, exchange.pinned);
  return chooseUntried(exchange);
}

/** The next one after `failed` failed, by `rule`: in the group, then in its fallbacks. Counts it as taken. */
export function nextChoice(exchange: Exchange, failed: CompiledDeployment, rule: AfterFailure): Choice | null {
  if (rule === 'relay') return null;
  const isLeft = exchange.attemptsInGroup <= exchange.numRetries;
  if (exchange.pinned !== null) return rule === 'again' && isLeft ? take(exchange, failed) : null;
  if (isLeft || rule === 'another') {
    const untried = chooseUntried(exchange);
    if (untried !== null) return untried;
  }
  if (isLeft && rule === 'again') return chooseAny(exchange);
  return chooseFallback(exchange);
}

function chooseUntried(exchange: Exchange): Choice | null {
  const deployment = selectDeployment(exchange, exchange.group!, isTried);
  return deployment === null ? null : take(exchange, deployment);
}

function chooseAny(exchange: Exchange): Choice | null {
  const deployment = selectDeployment(exchange, exchange.group!, isNever);
  return deployment === null ? null : take(exchange, deployment);
}

function isTried(exchange: Exchange, deployment: CompiledDeployment): boolean {
  return exchange.tried.includes(deployment);
}

function isNever(): boolean {
  return false;
}

/** Fallbacks are those of the group that was asked for (or of the request itself), never of a fallback. */
function chooseFallback(exchange: Exchange): Choice | null {
  const names = exchange.fallbacks;
  while (exchange.fallbackIndex < names.length) {
    const resolved = resolveModel(exchange.snapshot, names[exchange.fallbackIndex]!);
    exchange.fallbackIndex += 1;
    if (resolved === null || !isServable(exchange, resolved)) continue;
    exchange.resolved = resolved;
    exchange.group = resolved.group;
    exchange.tried.length = 0;
    exchange.attemptsInGroup = 0;
    exchange.fallbackCount += 1;
    return chooseUntried(exchange);
  }
  return null;
}

/** A fallback of another wire family would need translation. */
function isServable(exchange: Exchange, resolved: ResolvedModel): boolean {
  const { group } = resolved;
  if (isBarredByTags(exchange, group)) return false;
  return group.deployments.length > 0 && group.family === exchange.family;
}

function take(exchange: Exchange, deployment: CompiledDeployment): Choice {
  exchange.tried.push(deployment);
  exchange.attemptsInGroup += 1;
  const matched = exchange.resolved === null ? '' : exchange.resolved.matched;
  return { deployment, upstreamModel: fillModelPattern(deployment.spec.upstreamModel, matched) };
}
