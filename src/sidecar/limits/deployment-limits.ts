import type { CompiledDeployment } from '../compiled-snapshot.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { Reservation } from './reservation.ts';
import { reservedTokens } from './admit.ts';
import { spentMs } from '../budgets/admit-budgets.ts';
import { resetMs } from './limit-refusal.ts';
import type { SubjectLimits } from './subject-limits.ts';

/**
 * Until the limits of `deployment` have room for the request, ms; 0: they have. A look only, `takeDeployment` decides:
 * other threads choose at the same time.
 */
export function msUntilRoom(exchange: Exchange, { limits, budgets }: CompiledDeployment): number {
  // Fast case: it has no limits and no budgets.
  if (limits === null && budgets === null) return 0;
  const spentForMs = budgets === null ? 0 : spentMs(exchange, budgets);
  return limits === null ? spentForMs : Math.max(spentForMs, roomInMs(exchange, limits));
}

/**
 * The chosen deployment gets the request, for which it counts an attempt; what a deployment before it held is let go.
 *
 * @returns false if its limits refuse after all: choose another.
 */
export function takeDeployment(exchange: Exchange, deployment: CompiledDeployment): boolean {
  leaveDeployment(exchange);
  // Fast case: it has no limits.
  if (deployment.limits === null) return true;
  const { limits } = exchange.worker;
  const reservation = new Reservation(limits, reservedTokens(exchange));
  if (!reservation.take(deployment.limits, limits.nowMs())) return false;
  exchange.deploymentReservation = reservation;
  return true;
}

/** The attempt failed: its permit and tokens are free. `takeDeployment` and the end of the exchange do this themselves. */
export function leaveDeployment(exchange: Exchange): void {
  const { deploymentReservation } = exchange;
  if (deploymentReservation === null) return;
  exchange.deploymentReservation = null;
  deploymentReservation.finish(0, exchange.worker.limits.nowMs());
}

/** It was not asked after all. */
export function undoDeployment(exchange: Exchange): void {
  exchange.deploymentReservation?.undo();
  exchange.deploymentReservation = null;
}

function roomInMs(exchange: Exchange, own: SubjectLimits): number {
  const { limits } = exchange.worker;
  const { table } = limits;
  const nowMs = limits.nowMs();
  if (own.row === -1) return table.windowMs;
  let waitMs = 0;
  if (own.rpm !== null && table.used(own.requestsCell, nowMs) >= own.rpm) {
    waitMs = Math.max(1, resetMs(limits, own, 'requests', nowMs));
  }
  // Of a request that reserves nothing, one token must be left.
  if (own.tpm !== null && table.used(own.tokensCell, nowMs) + (reservedTokens(exchange) || 1) > own.tpm) {
    waitMs = Math.max(waitMs, 1, resetMs(limits, own, 'tokens', nowMs));
  }
  if (own.maxParallelRequests !== null && table.permits(own.row) >= own.maxParallelRequests) {
    waitMs = Math.max(waitMs, resetMs(limits, own, 'max_parallel_requests', nowMs));
  }
  return waitMs;
}
