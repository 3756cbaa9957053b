/** How a group chooses among its deployments: LiteLLM's names where it has the strategy. */
export const ROUTING_STRATEGIES = [
  'simple-shuffle',
  'least-busy',
  'latency-based-routing',
  'usage-based-routing',
  'cost-based-routing',
  'power-of-two',
] as const;

export type RoutingStrategy = (typeof ROUTING_STRATEGIES)[number];
