import { Candidates } from '../../domain/routing/strategies/candidates.ts';
import { chooseByWeight } from '../../domain/routing/strategies/simple-shuffle.ts';
import type { CompiledDeployment, CompiledGroup } from '../compiled-snapshot.ts';
import type { Exchange } from '../exchange/exchange.ts';

/** Keeps a deployment out of a choice: already tried, resting, full. */
export type Exclusion = (exchange: Exchange, deployment: CompiledDeployment) => boolean;

/** One choice is over before the next begins, so one per thread will do. */
const candidates = new Candidates();

/**
 * Select: one of the group's deployments that are not excluded, by the group's strategy, within the lowest order that has
 * any. Asks about each deployment once at most, and keeps nothing.
 *
 * @returns null if all are excluded.
 */
export function selectDeployment(
  exchange: Exchange,
  group: CompiledGroup,
  isExcluded: Exclusion,
): CompiledDeployment | null {
  const { deployments } = group;
  candidates.clear();
  let order = 0;
  for (let place = 0; place < deployments.length; place += 1) {
    const deployment = deployments[place]!;
    if (candidates.count > 0 && deployment.order !== order) break;
    if (isExcluded(exchange, deployment)) continue;
    order = deployment.order;
    candidates.add(place);
  }
  if (candidates.count === 0) return null;
  return deployments[chooseByWeight(candidates, group.weights, Math.random())]!;
}
