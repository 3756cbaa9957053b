import { performance } from 'node:perf_hooks';
import type { CompiledPrice } from '../../domain/pricing/compile-price.ts';
import { costOfUsage } from '../../domain/pricing/cost-of-usage.ts';
import { dollarText } from '../../domain/pricing/dollar-text.ts';
import type { TokenUsage } from '../../domain/usage/token-usage.ts';
import type { CompiledDeployment } from '../compiled-snapshot.ts';
import type { Exchange } from '../exchange/exchange.ts';

/** Of a reply that came without counts, where there is a price for the call as such. */
const NO_TOKENS: TokenUsage = Object.freeze({
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
});

/**
 * What the answer cost, nano-dollars. null where its deployment has no price: that is all a request without one pays.
 *
 * @param usage of the answer, null where none is known.
 * @param status of the answer.
 */
export function replyCost(exchange: Exchange, usage: TokenUsage | null, status: number): number | null {
  const { deployment } = exchange;
  if (deployment === null) return null;
  const price = deployment.price ?? priceOfModel(deployment, exchange.upstreamModel);
  if (price === null) return null;
  if (usage !== null) return costOfUsage(price, usage, timeOf(exchange, price));
  const isCharged = price.chargesCalls && status >= 200 && status < 300;
  return isCharged ? costOfUsage(price, NO_TOKENS, timeOf(exchange, price)) : null;
}

/** The same of an attempt that failed, whose reply said what it used. */
export function attemptCost(exchange: Exchange, deployment: CompiledDeployment, usage: TokenUsage): number | null {
  const price = deployment.price ?? priceOfModel(deployment, exchange.upstreamModel);
  return price === null ? null : costOfUsage(price, usage, timeOf(exchange, price));
}

/**
 * The header line that tells what the answer cost, empty where its deployment has no price. What is told is what is
 * recorded: it is kept in the exchange.
 */
export function costLine(exchange: Exchange, status: number): string {
  const costNano = replyCost(exchange, exchange.usage, status);
  if (costNano === null) return '';
  exchange.costNano = costNano;
  return `x-litellm-response-cost: ${dollarText(costNano)}\r\n`;
}

/** May its answers have a cost? */
export function isPriced(deployment: CompiledDeployment | null): boolean {
  return deployment !== null && (deployment.price !== null || deployment.modelPrices !== null);
}

function timeOf(exchange: Exchange, price: CompiledPrice): number {
  return price.isTimed ? performance.now() - exchange.startedMs : 0;
}

function priceOfModel({ modelPrices }: CompiledDeployment, model: string | null): CompiledPrice | null {
  if (modelPrices === null || model === null) return null;
  return modelPrices.get(model) ?? null;
}
