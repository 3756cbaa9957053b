import { ROUTING_STRATEGIES, type RoutingStrategy } from '../../domain/routing/routing-strategy.ts';

/** Whatever may stand in `routing_strategy`. */
export const STRATEGY_NAMES = [...ROUTING_STRATEGIES, 'usage-based-routing-v2'] as const;

/** LiteLLM's strategies that are not here. A configuration that names one starts all the same, with a warning. */
export const UNSUPPORTED_STRATEGIES = ['lar1', 'provider-budget-routing'] as const;

type StrategyName = (typeof STRATEGY_NAMES)[number] | (typeof UNSUPPORTED_STRATEGIES)[number];

export function isUnsupportedStrategy(name: string): boolean {
  return UNSUPPORTED_STRATEGIES.some((unsupported) => unsupported === name);
}

/** LiteLLM's two generations of usage-based routing are one here. */
export function strategyNamed(name: StrategyName): RoutingStrategy {
  if (name === 'usage-based-routing-v2') return 'usage-based-routing';
  return ROUTING_STRATEGIES.find((strategy) => strategy === name) ?? 'simple-shuffle';
}
