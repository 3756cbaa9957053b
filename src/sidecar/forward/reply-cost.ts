import { performance } from 'node:perf_hooks';
import type { CompiledPrice } from '../../domain/pricing/compile-price.ts';
import { type CallAmounts, costOfUsage, NO_AMOUNTS } from '../../domain/pricing/cost-of-usage.ts';
import { dollarText } from '../../domain/pricing/dollar-text.ts';
import { hasPieces, requestPieces } from '../../domain/pricing/request-pieces.ts';
import { parseJson } from '../../domain/reply/parse-json.ts';
import type { TokenUsage } from '../../domain/usage/token-usage.ts';
import type { CompiledDeployment } from '../compiled-snapshot.ts';
import type { Exchange } from '../exchange/exchange.ts';

/** A longer request is not parsed for its price: speech takes 4,096 characters. */
const MAX_PIECES_BYTES = 256 * 1024;

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
  if (deployment === null || deployment.prices === null) return null;
  const price = deployment.prices.of(exchange.upstreamModel);
  if (price === null) return null;
  if (usage !== null) return costOfUsage(price, usage, amountsOf(exchange, price));
  const isCharged = price.chargesCalls || (price.countsPieces && exchange.pieces !== null);
  return isCharged && status >= 200 && status < 300 ? costOfUsage(price, NO_TOKENS, amountsOf(exchange, price)) : null;
}

/** The same of an attempt that failed, whose reply said what it used. */
export function attemptCost(exchange: Exchange, deployment: CompiledDeployment, usage: TokenUsage): number | null {
  const price = deployment.prices === null ? null : deployment.prices.of(exchange.upstreamModel);
  return price === null ? null : costOfUsage(price, usage, amountsOf(exchange, price));
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

function amountsOf({ pieces, startedMs }: Exchange, price: CompiledPrice): CallAmounts {
  if (pieces === null && !price.isTimed) return NO_AMOUNTS;
  return { ...(pieces ?? NO_AMOUNTS), durationMs: performance.now() - startedMs };
}

/** Before a request is sent, and its body may be gone: counts what of it is charged by the piece. */
export function countPieces(exchange: Exchange, deployment: CompiledDeployment, upstreamModel: string): void {
  const { body, route } = exchange;
  const price = deployment.prices === null ? null : deployment.prices.of(upstreamModel);
  if (price === null || !price.countsPieces || route.kind !== 'llm') return;
  if (!hasPieces(route.endpoint.name) || body.length > MAX_PIECES_BYTES) return;
  exchange.pieces = requestPieces(route.endpoint.name, parseJson(body.text(0, body.length)));
}
