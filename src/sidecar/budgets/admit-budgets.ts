import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { costOfUsage, NO_AMOUNTS } from '../../domain/pricing/cost-of-usage.ts';
import { dollarText } from '../../domain/pricing/dollar-text.ts';
import { readMaxTokens } from '../../domain/request/read-max-tokens.ts';
import { estimatePromptTokens } from '../../domain/usage/estimate-usage.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { finalCost } from '../exchange/usage-event-line.ts';
import type { Budget } from './budget.ts';
import { BudgetCharge, chargeOf } from './budget-charge.ts';

/** Output tokens that are reserved for a request that sets no maximum. */
const UNSTATED_OUTPUT_TOKENS = 4096;
const DAY_MS = 86_400_000;

/**
 * Admit, its last part: every budget that the request is under must have something left; with reservation on, what the
 * request is estimated to cost. The first that refuses undoes the rest, limits included.
 */
export function admitBudgets(exchange: Exchange): GatewayError | null {
  const { key, snapshot } = exchange;
  const own = key!.budgets;
  const { globalBudget } = snapshot;
  // Fast case: there are no budgets.
  if (own === null && globalBudget === null) return null;
  const { limits } = exchange.worker;
  const reserved = snapshot.settings.budgets.reserves && !key!.isMaster ? estimatedCost(exchange) : 0n;
  const charge = new BudgetCharge(limits, reserved, Date.now());
  const refusing = takeAll(exchange, charge);
  if (refusing === null) {
    exchange.charge = charge;
    return null;
  }
  charge.settle(0);
  exchange.reservation?.undo();
  exchange.reservation = null;
  return refusal(exchange, refusing);
}

/**
 * The request falls back to the group `name`: the key's budget of that model is the one that counts from here on.
 *
 * @returns false if it is used up: that fallback is out.
 */
export function admitFallbackBudget({ charge, key, worker }: Exchange, name: string): boolean {
  const byModel = charge === null || key!.budgets === null ? null : key!.budgets.byModel;
  if (byModel === null) return true;
  charge!.leaveModel();
  const budget = byModel.get(name);
  if (budget === undefined || charge!.take(budget)) return true;
  worker.limits.countBudgetRefusal('model');
  return false;
}

/**
 * The request is over: what it cost is charged to all budgets that it was under, and to those of the deployment that
 * served it. Before the last byte of its answer leaves: a client that asks one at a time finds it spent.
 */
export function settleBudgets(exchange: Exchange): void {
  const { deployment, worker, attempts } = exchange;
  const charge = exchange.charge ?? new BudgetCharge(worker.limits, 0n, Date.now());
  exchange.charge = null;
  if (deployment !== null && deployment.budgets !== null) for (const budget of deployment.budgets) charge.join(budget);
  exchange.chargedRows = charge.settle(chargeOf({ costNano: finalCost(exchange), attempts }));
}

/** Until the budgets of a deployment and its provider have something left, ms, a day at most; 0: they have. */
export function spentMs(exchange: Exchange, budgets: readonly Budget[]): number {
  const { table } = exchange.worker.limits;
  const nowMs = Date.now();
  let waitMs = 0;
  for (const budget of budgets) {
    if (budget.max === null) continue;
    budget.enter(nowMs);
    if (budget.row !== -1 && table.spend(budget.row) < budget.max) continue;
    waitMs = Math.max(waitMs, 1, Math.min(budget.endMs - nowMs, DAY_MS));
  }
  return waitMs;
}

/** `x-litellm-key-spend` and `-max-budget` of a key with a budget of its own, dollars. */
export function budgetHeaders({ key, worker }: Exchange): string {
  const own = key === null || key.budgets === null ? null : key.budgets.own;
  if (own === null || own.row === -1) return '';
  const spent = `x-litellm-key-spend: ${dollars(worker.limits.table.spend(own.row))}\r\n`;
  return own.max === null ? spent : `${spent}x-litellm-key-max-budget: ${dollars(own.max)}\r\n`;
}

/** The master key spends, and is never refused. */
function takeAll({ key, snapshot, model, group }: Exchange, charge: BudgetCharge): Budget | null {
  const { globalBudget } = snapshot;
  if (globalBudget !== null) {
    if (key!.isMaster) charge.join(globalBudget);
    else if (!charge.take(globalBudget)) return globalBudget;
  }
  const own = key!.budgets;
  if (own === null) return null;
  for (const budget of own.all) if (!charge.take(budget)) return budget;
  if (own.byModel === null) return null;
  const ofModel =
    (model === null ? undefined : own.byModel.get(model)) ?? (group === null ? undefined : own.byModel.get(group.name));
  return ofModel === undefined || charge.take(ofModel) ? null : ofModel;
}

/** Nano-dollars: the prompt's estimate and `max_tokens`, at the highest price of the group. */
function estimatedCost(exchange: Exchange): bigint {
  const { group, body, route, scanner, resolved } = exchange;
  if (group === null) return 0n;
  const inputTokens = estimatePromptTokens(body.length);
  const asked = route.kind === 'llm' ? readMaxTokens(scanner, exchange.bodyText) : 0;
  const outputTokens = asked === 0 ? UNSTATED_OUTPUT_TOKENS : asked;
  const usage = { inputTokens, outputTokens, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };
  let most = 0;
  for (const { prices, spec } of group.deployments) {
    const price = prices === null ? null : prices.of(spec.upstreamModel.replace('*', resolved?.matched ?? ''));
    if (price !== null) most = Math.max(most, costOfUsage(price, usage, NO_AMOUNTS));
  }
  return BigInt(most);
}

function refusal(exchange: Exchange, budget: Budget): GatewayError {
  const { limits } = exchange.worker;
  limits.countBudgetRefusal(budget.subject);
  if (budget.row === -1) {
    const message = `the budget of ${budget.subject} ${budget.id} can not be counted: the limit table is full`;
    return { ...gatewayError('limit_table_full', message), retryAfterSeconds: 60 };
  }
  const current = dollars(limits.table.spend(budget.row));
  const message = `Budget has been exceeded! ${whose(budget)}Current cost: ${current}, Max budget: ${dollars(budget.max ?? 0n)}`;
  const status = exchange.snapshot.settings.budgets.exceededStatus;
  return { ...gatewayError('budget_exceeded', message), status };
}

function whose({ subject, id }: Budget): string {
  switch (subject) {
    case 'key':
      return '';
    case 'global':
      return 'Proxy. ';
    case 'user':
      return `User=${id} `;
    case 'team':
      return `Team=${id} `;
    case 'member': {
      const slash = id.lastIndexOf('/');
      return `User=${id.slice(slash + 1)} in Team=${id.slice(0, slash)} `;
    }
    case 'model':
      return `Model=${id.slice(id.indexOf('/') + 1)} of this key. `;
    case 'provider':
      return `Provider=${id} `;
    case 'deployment':
      return `Deployment=${id} `;
    default:
      return subject satisfies never;
  }
}

function dollars(nano: bigint): string {
  const text = dollarText(Number(nano < 0n ? 0n : nano));
  return text.replace(/\.?0+$/, '');
}
