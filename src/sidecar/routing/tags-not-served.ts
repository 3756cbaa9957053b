import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { withModelGroup } from '../exchange/answer-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { isBarredByTags } from './select-deployment.ts';

/** Why a request found no deployment, if that is because of its tags; in LiteLLM's words, which clients match on. */
export function tagsNotServed(exchange: Exchange): GatewayError | null {
  const { group, model, tags } = exchange;
  if (group === null || !isBarredByTags(exchange, group)) return null;
  const list = tags.map((tag) => `'${tag}'`).join(', ');
  const message = `Not allowed to access model due to tags configuration. Passed model=${model ?? ''} and tags=[${list}]`;
  return withModelGroup(exchange, gatewayError('tags_not_served', message));
}
