import type { GatewayError } from '../../domain/errors/gateway-error.ts';
import { readMaxTokens } from '../../domain/request/read-max-tokens.ts';
import { estimatePromptTokens } from '../../domain/usage/estimate-usage.ts';
import type { CompiledGroup } from '../compiled-snapshot.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { Reservation } from './reservation.ts';
import type { KeyLimits } from './key-limits.ts';
import { limitRefusal, rateLimitLines } from './limit-refusal.ts';
import type { SubjectLimits } from './subject-limits.ts';

/**
 * Admit: takes the request from every limit that it is under, in the order key, user, team, the model's limits of these,
 * model group; of each requests, tokens, parallel requests. The first that refuses undoes the rest.
 */
export function admit(exchange: Exchange): GatewayError | null {
  const { key, group, worker } = exchange;
  const keyLimits = key!.limits;
  // Fast case: nothing is limited.
  if (keyLimits === null && (group === null || group.limits === null)) return null;
  if (key!.isMaster) return null;
  const nowMs = worker.limits.tableMs(exchange.workSinceMs);
  const reservation = new Reservation(worker.limits, reservedTokens(exchange));
  exchange.reservation = reservation;
  let refusing = keyLimits === null ? null : takeAll(reservation, keyLimits.subjects, nowMs);
  reservation.beginModel();
  refusing ??= takeModel(reservation, exchange, group, nowMs);
  if (refusing === null) return null;
  reservation.undo();
  exchange.reservation = null;
  return limitRefusal(worker.limits, refusing, reservation.refusedBy, nowMs);
}

/**
 * The request falls back from its group to `group` (`exchange.model` and the key's limits of it stay): what was taken for
 * the model left is settled, and the limits of the new one have to admit it.
 *
 * @returns false if they don't: that fallback is out.
 */
export function admitFallback(exchange: Exchange, group: CompiledGroup): boolean {
  const { reservation, key, worker } = exchange;
  if (reservation === null && group.limits === null) return true;
  if (key!.isMaster) return true;
  const nowMs = worker.limits.nowMs();
  const into = reservation ?? new Reservation(worker.limits, reservedTokens(exchange));
  exchange.reservation = into;
  into.leaveModel(nowMs);
  const refusing = takeModel(into, exchange, group, nowMs);
  if (refusing === null) return true;
  worker.limits.countRefusal(refusing.subject, into.refusedBy);
  into.undoModel();
  return false;
}

/**
 * The request is over, however it ended: permits return, and tokens become those that were used.
 *
 * @param endedMs monotonic ms.
 */
export function finishReservations(exchange: Exchange, endedMs: number): void {
  const { reservation, deploymentReservation, worker } = exchange;
  const nowMs = worker.limits.tableMs(endedMs);
  const tokens = usedTokens(exchange);
  exchange.reservation = null;
  exchange.deploymentReservation = null;
  reservation?.finish(tokens, nowMs);
  deploymentReservation?.finish(tokens, nowMs);
}

/** What is left of the key's own limits at `atMs` (monotonic), as header lines. */
export function rateLimitHeaders({ key, worker }: Exchange, atMs: number): string {
  const own = key === null || key.limits === null ? null : key.limits.own;
  return own === null ? '' : rateLimitLines(worker.limits, own, worker.limits.tableMs(atMs));
}

/** Tokens that a request takes before its usage is known. */
export function reservedTokens(exchange: Exchange): number {
  const { snapshot, body, scanner, route } = exchange;
  const rule = snapshot.settings.rateLimits.tokenReservation;
  if (rule === 'off') return 0;
  const prompt = estimatePromptTokens(body.length);
  if (rule === 'prompt' || route.kind !== 'llm') return prompt;
  return prompt + readMaxTokens(scanner, exchange.bodyText);
}

/** Takes all of `subjects` until one refuses, and answers that one. */
function takeAll(reservation: Reservation, subjects: readonly SubjectLimits[], nowMs: number): SubjectLimits | null {
  for (const subject of subjects) if (!reservation.take(subject, nowMs)) return subject;
  return null;
}

/** What limits the model: the key's, user's and team's limits of it by either of its names, then the group's own. */
function takeModel(
  reservation: Reservation,
  exchange: Exchange,
  group: CompiledGroup | null,
  nowMs: number,
): SubjectLimits | null {
  const { model, key } = exchange;
  const byModel = key!.limits === null ? null : key!.limits.byModel;
  if (byModel !== null) {
    // The name that the client used counts where it leads to the group, not after a fallback to another.
    const isAsked = group === exchange.group && model !== null && model !== group?.name;
    const refusing =
      (isAsked ? takeNamed(reservation, byModel, model, nowMs) : null) ??
      (group === null ? null : takeNamed(reservation, byModel, group.name, nowMs));
    if (refusing !== null) return refusing;
  }
  if (group === null || group.limits === null || reservation.take(group.limits, nowMs)) return null;
  return group.limits;
}

function takeNamed(
  reservation: Reservation,
  byModel: NonNullable<KeyLimits['byModel']>,
  name: string,
  nowMs: number,
): SubjectLimits | null {
  const subjects = byModel.get(name);
  return subjects === undefined ? null : takeAll(reservation, subjects, nowMs);
}

/** Null: a provider worked on it and did not say, so the reservation stands. */
function usedTokens({ usage, attempts, aborted, status }: Exchange): number | null {
  if (usage !== null) return usage.inputTokens + usage.outputTokens;
  const hasWorked = attempts.length > 0 && (aborted !== null || status < 400);
  return hasWorked ? null : 0;
}
