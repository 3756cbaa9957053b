import { costOfUsage, NO_AMOUNTS } from '../domain/pricing/cost-of-usage.ts';
import { DeploymentPrices } from './deployment-prices.ts';
import type { DeploymentSpec } from './snapshot.ts';
import type { UsageEvent } from './usage-event.ts';

/** By id of the deployment. */
export type PriceLookup = ReadonlyMap<string, DeploymentPrices>;

export function priceLookup(deployments: readonly DeploymentSpec[]): PriceLookup {
  return new Map(deployments.map((spec) => [spec.id, new DeploymentPrices(spec)]));
}

/**
 * The event with the cost that it lacks though it has a usage: its process ended before it did (`abortedEvent`), or the
 * price was not known when it ran. By the prices of now, which may differ from those of then.
 *
 * @returns the same object where nothing is to be added, or nothing can be.
 */
export function withCost(event: UsageEvent, prices: PriceLookup): UsageEvent {
  const { usage, costNano, deployment, upstreamModel, durationMs } = event;
  if (usage === null || costNano !== null || deployment === null) return event;
  const price = prices.get(deployment)?.of(upstreamModel) ?? null;
  return price === null ? event : { ...event, costNano: costOfUsage(price, usage, { ...NO_AMOUNTS, durationMs }) };
}
