import { performance } from 'node:perf_hooks';
import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { NO_COUNTS } from '../../domain/routing/error-class-counts.ts';
import { backOffMs } from '../../domain/routing/back-off.ts';
import { afterFailure, countFor, type AfterFailure, type FailureClass } from '../../domain/routing/failure-class.ts';
import { fillModelPattern } from '../../domain/routing/model-pattern.ts';
import { resolveFallback, type CompiledDeployment, type CompiledGroup } from '../compiled-snapshot.ts';
import { withModelGroup } from '../exchange/answer-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { admitFallbackBudget } from '../budgets/admit-budgets.ts';
import { admitFallback } from '../limits/admit.ts';
import { leaveDeployment, msUntilRoom, takeDeployment, undoDeployment } from '../limits/deployment-limits.ts';
import { NO_TICKET, type Ticket } from '../routing/deployment-health.ts';
import { isBarredByTags, selectDeployment } from '../routing/select-deployment.ts';

/** A deployment to try, and the name of the model there. */
export interface Choice {
  readonly deployment: CompiledDeployment;
  readonly upstreamModel: string;
  readonly ticket: Ticket;
}

/** The same deployment again, or what there is by then: `choiceAfterWait` says. */
interface Wait {
  readonly waitMs: number;
}

export type NextStep = Choice | Wait;

/** The first deployment for a request: of its group, else of its fallbacks; null if none may be tried. */
export function firstChoice(exchange: Exchange): Choice | null {
  if (exchange.pinned !== null) return choosePinned(exchange, exchange.pinned);
  const choice = chooseInGroup(exchange, isOut);
  if (choice !== null) return choice;
  // Tags say where a request may go at all: that they lead nowhere is the client's to hear.
  if (isBarredByTags(exchange, exchange.group!)) return null;
  return chooseLeastBad(exchange) ?? chooseFallback(exchange);
}

/** What to do after an attempt failed: in the group, then in its fallbacks; null if that was it. Counts it as taken. */
export function nextStep(exchange: Exchange, failure: FailureClass): NextStep | null {
  const policy = countFor(failure, exchange.group?.retryPolicy ?? NO_COUNTS);
  let rule = afterFailure(failure);
  // Only who says so explicitly sends a request again that was refused for its own fault.
  if (rule === 'relay' && policy !== null && policy > 0) rule = 'again';
  if (rule !== 'relay') {
    leaveDeployment(exchange); // it may be the one to ask again, and is not full by our own failed attempt
    const next = nextInGroup(exchange, failure, rule);
    if (next !== null) return next;
  }
  return useFallbacksFor(exchange, failure) ? chooseFallback(exchange) : null;
}

/** The wait is over. */
export function choiceAfterWait(exchange: Exchange): Choice | null {
  if (exchange.pinned !== null) return choosePinned(exchange, exchange.pinned);
  return (
    chooseInGroup(exchange, isOut) ??
    chooseInGroup(exchange, isBenchedOrFull) ??
    chooseLeastBad(exchange) ??
    chooseFallback(exchange)
  );
}

/** What a client is told when no deployment may be tried: LiteLLM's sentence, and when the first of them may be. */
export function noDeployments(exchange: Exchange): GatewayError {
  const seconds = secondsUntilFirst(exchange);
  const message = `No deployments available for selected model, Try again in ${seconds} seconds.`;
  return withModelGroup(exchange, { ...gatewayError('no_deployments', message), retryAfterSeconds: seconds });
}

function secondsUntilFirst(exchange: Exchange): number {
  const { health } = exchange.worker;
  const nowMs = performance.now();
  let soonestMs = Infinity;
  const asked = exchange.pinned === null ? (exchange.requestedGroup?.deployments ?? []) : [exchange.pinned];
  for (const deployment of asked) {
    const outMs = Math.max(health.benchedForMs(deployment.health, nowMs), msUntilRoom(exchange, deployment));
    soonestMs = Math.min(soonestMs, outMs);
  }
  const cooldownMs = exchange.snapshot.settings.failure.cooldownMs;
  return Math.max(1, Math.ceil((soonestMs === Infinity ? cooldownMs : soonestMs) / 1000));
}

function nextInGroup(exchange: Exchange, failure: FailureClass, rule: Exclude<AfterFailure, 'relay'>): NextStep | null {
  if (!hasRetriesLeft(exchange, failure, rule)) return null;
  if (exchange.pinned !== null) return rule === 'again' ? again(exchange, failure, exchange.pinned) : null;
  const other = chooseInGroup(exchange, isOut);
  if (other !== null) return other;
  if (rule === 'again') {
    const fit = exchange.group!.deployments.find((one) => !isBenchedOrFull(exchange, one));
    if (fit !== undefined) return again(exchange, failure, fit);
  }
  return chooseLeastBad(exchange);
}

/** The narrower wins: the request, the group's policy, the policy, the number for all. */
function hasRetriesLeft(exchange: Exchange, failure: FailureClass, rule: AfterFailure): boolean {
  if (exchange.numRetries < 0) return false; // the call is over
  const policy = countFor(failure, exchange.group?.retryPolicy ?? NO_COUNTS);
  // Of a deployment that is itself at fault, the others are no retries: all of them may be tried.
  if (rule === 'another') return policy === null || exchange.attemptsInGroup <= policy;
  const retries = exchange.askedRetries ?? policy ?? exchange.numRetries;
  return exchange.attemptsInGroup <= retries;
}

/** The same deployments again: not at once, since they have just failed. */
function again(exchange: Exchange, failure: FailureClass, fit: CompiledDeployment): NextStep | null {
  exchange.repeats += 1;
  const { backOff } = exchange.snapshot.settings.failure;
  // Who let the whole timeout pass has had its pause.
  const waitMs = failure === 'timeout' ? backOff.floorMs : backOffMs(exchange.repeats, backOff, Math.random());
  if (waitMs === 0) return choiceAfterWait(exchange);
  if (performance.now() + waitMs >= exchange.callDeadlineMs) return null;
  // Taken now: once the failed answer is let go there is no other for the client, should the budget be used up by then.
  exchange.retryIsReserved = true;
  fit.health.budget.onRetry(performance.now());
  return { waitMs };
}

function chooseInGroup(
  exchange: Exchange,
  isExcluded: (exchange: Exchange, deployment: CompiledDeployment) => boolean,
): Choice | null {
  const group = exchange.group!;
  // Another thread may take the place of a probe, or the last one of a limit, between our look and our hand: then the
  // next best.
  for (let tries = 0; tries <= group.deployments.length; tries += 1) {
    const deployment = selectDeployment(exchange, group, isExcluded);
    if (deployment === null) return null;
    if (!takeDeployment(exchange, deployment)) continue;
    if (group.skipsCooldown) return take(exchange, deployment, NO_TICKET);
    const ticket = exchange.worker.health.takeTicket(deployment.health, false);
    if (ticket !== null) return take(exchange, deployment, ticket);
    undoDeployment(exchange);
  }
  return null;
}

/** Every one is out: of those benched by what may have passed, untried by this request, the one that is back first. */
function chooseLeastBad(exchange: Exchange): Choice | null {
  leastBad = null;
  leastBadMs = Infinity;
  selectDeployment(exchange, exchange.group!, noteLeastBad);
  const best = leastBad as CompiledDeployment | null;
  if (best === null || !takeDeployment(exchange, best)) return null;
  const ticket = exchange.worker.health.takeTicket(best.health, true);
  return take(exchange, best, ticket ?? NO_TICKET);
}

// One choice is over before the next begins.
let leastBad: CompiledDeployment | null = null;
let leastBadMs = Infinity;

/** Where it was made is where it is asked for, benched or not. */
function choosePinned(exchange: Exchange, pinned: CompiledDeployment): Choice | null {
  return takeDeployment(exchange, pinned) ? take(exchange, pinned, NO_TICKET) : null;
}

/** Excludes all, so that it is asked about each one that the request's tags allow. */
function noteLeastBad(exchange: Exchange, deployment: CompiledDeployment): boolean {
  if (exchange.tried.includes(deployment) || !isWorthForcing(exchange, deployment)) return true;
  if (msUntilRoom(exchange, deployment) > 0) return true;
  const untilMs = exchange.worker.health.benchedUntilMs(deployment.health);
  if (untilMs < leastBadMs) {
    leastBad = deployment;
    leastBadMs = untilMs;
  }
  return true;
}

function isWorthForcing(exchange: Exchange, deployment: CompiledDeployment): boolean {
  const { health } = exchange.worker;
  return health.availability(deployment.health, performance.now()) !== 'hard' && isWithinBudget(exchange, deployment);
}

/** Tried by this request, benched, out of retries, or at a limit of its own. */
function isOut(exchange: Exchange, deployment: CompiledDeployment): boolean {
  return exchange.tried.includes(deployment) || isBenchedOrFull(exchange, deployment);
}

function isBenchedOrFull(exchange: Exchange, deployment: CompiledDeployment): boolean {
  return isBenched(exchange, deployment) || msUntilRoom(exchange, deployment) > 0;
}

function isBenched(exchange: Exchange, deployment: CompiledDeployment): boolean {
  const { health } = exchange.worker;
  // Fast case: nothing is known against it, and the request has not failed before.
  if (health.isFree(deployment.health) && exchange.attemptsInGroup === 0) return false;
  if (exchange.group!.skipsCooldown) return false;
  if (!isWithinBudget(exchange, deployment)) return true;
  const state = health.availability(deployment.health, performance.now());
  return state === 'soft' || state === 'hard';
}

function isWithinBudget(exchange: Exchange, deployment: CompiledDeployment): boolean {
  if (exchange.attemptsInGroup === 0 || exchange.retryIsReserved) return true;
  const { ratio, floor } = exchange.snapshot.settings.failure.retryBudget;
  if (deployment.health.budget.allows(performance.now(), ratio, floor)) return true;
  exchange.worker.metrics.retriesRefused.add(1);
  return false;
}

/**
 * The fallbacks that an error of this class leads to: false if none. Those by kind replace the general ones where the
 * configuration has any; a request that is wrong in itself goes nowhere else.
 */
function useFallbacksFor(exchange: Exchange, failure: FailureClass): boolean {
  const group = exchange.requestedGroup;
  if (failure === 'client' || exchange.disableFallbacks || exchange.numRetries < 0) return false;
  // The client's own list is for every kind.
  if (group === null || exchange.askedFallbacks !== null) return true;
  const own =
    failure === 'context_window'
      ? group.contextWindowFallbacks
      : failure === 'content_policy'
        ? group.contentPolicyFallbacks
        : null;
  if (own !== null && exchange.fallbacks !== own) {
    exchange.fallbacks = own;
    exchange.fallbackIndex = 0;
  }
  return true;
}

/** Fallbacks are those of the group that was asked for (or of the request itself), never of a fallback. */
function chooseFallback(exchange: Exchange): Choice | null {
  const { snapshot } = exchange;
  while (exchange.fallbackIndex < exchange.fallbacks.length) {
    if (exchange.fallbackCount >= snapshot.settings.maxFallbacks) return null;
    const name = exchange.fallbacks[exchange.fallbackIndex]!;
    exchange.fallbackIndex += 1;
    const resolved = resolveFallback(snapshot, name);
    if (resolved === null || !isServable(exchange, resolved.group)) continue;
    if (!admitFallbackBudget(exchange, resolved.group.name)) continue;
    if (!admitFallback(exchange, resolved.group)) continue;
    const before = exchange.group;
    exchange.resolved = resolved;
    exchange.group = resolved.group;
    exchange.tried.length = 0;
    exchange.attemptsInGroup = 0;
    exchange.repeats = 0;
    const choice = chooseInGroup(exchange, isOut) ?? chooseLeastBad(exchange);
    if (choice !== null) {
      exchange.fallbackCount += 1;
      return choice;
    }
    exchange.group = before; // all of it is out: it was not tried
  }
  return null;
}

/** A fallback of another wire family would need translation. */
function isServable(exchange: Exchange, group: CompiledGroup): boolean {
  if (isBarredByTags(exchange, group)) return false;
  return group.deployments.length > 0 && group.family === exchange.family;
}

function take(exchange: Exchange, deployment: CompiledDeployment, ticket: Ticket): Choice {
  exchange.tried.push(deployment);
  exchange.attemptsInGroup += 1;
  const matched = exchange.resolved === null ? '' : exchange.resolved.matched;
  return { deployment, upstreamModel: fillModelPattern(deployment.spec.upstreamModel, matched), ticket };
}
