import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import type { CompiledDeployment, CompiledGroup, CompiledSnapshot } from '../compiled-snapshot.ts';
import type { Exchange } from './exchange.ts';
import { pathId } from './route.ts';

/** `/responses/{id}` and kin: the deployment that made it, for its owner only. */
export function findResponse(exchange: Exchange): GatewayError | null {
  return pinToResponse(exchange, pathId(exchange.head.path, exchange.route));
}

/** The request goes to the deployment that made the response, or to one of the same account. */
export function pinToResponse(exchange: Exchange, responseId: string): GatewayError | null {
  const { worker, key, snapshot } = exchange;
  const made = worker.responses.get(responseId);
  const deployment = made === undefined ? undefined : snapshot.deployments.get(made.deploymentId);
  const isTheirs = made !== undefined && (key!.isMaster || made.owner === key!.owner);
  if (deployment === undefined || !isTheirs) return responseNotFound(responseId);
  if (exchange.group === null) {
    exchange.pinned = deployment;
    exchange.group = groupOf(snapshot, deployment);
    return null;
  }
  // The model asked for decides what may be used: a deployment of its group, if not this one, then of the same account.
  const { deployments } = exchange.group;
  const isSame = deployments.includes(deployment);
  const pinned = isSame ? deployment : deployments.find((other) => isSameAccount(other, deployment));
  if (pinned === undefined) return responseNotFound(responseId);
  exchange.pinned = pinned;
  return null;
}

function groupOf(snapshot: CompiledSnapshot, { spec }: CompiledDeployment): CompiledGroup | null {
  const { groupName } = spec;
  return snapshot.groups.get(groupName) ?? snapshot.wildcards.find(({ name }) => name === groupName) ?? null;
}

/** Same place, same credential: a response made by one is known to the other. */
function isSameAccount(a: CompiledDeployment, b: CompiledDeployment): boolean {
  return a.pool === b.pool && a.spec.basePath === b.spec.basePath && a.headerBlock === b.headerBlock;
}

function responseNotFound(responseId: string): GatewayError {
  return gatewayError(
    'response_not_found',
    `No response ${JSON.stringify(responseId)} was made through this gateway by a key of the same owner, where this model is served.`,
  );
}
