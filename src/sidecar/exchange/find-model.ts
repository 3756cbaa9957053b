import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { resolveFallback, resolveModel, type ResolvedModel } from '../compiled-snapshot.ts';
import { mayUseModel, modelBehindAlias } from '../keys/resolved-key.ts';
import type { Exchange } from './exchange.ts';
import { pinToResponse } from './find-response.ts';

/** Resolve model: the group that serves it, and whether this key may use it. */
export function findModel(exchange: Exchange): GatewayError | null {
  const { model, snapshot, fields } = exchange;
  if (model === null) return gatewayError('missing_model', 'the request names no model', 'model');
  const resolved = resolveModel(snapshot, modelBehindAlias(exchange.key!, model));
  if (!mayUse(exchange, model, resolved)) return accessDenied(exchange, model);
  // Fallbacks of the configuration are the operator's choice; those of the request are the client's, and checked.
  const denied = exchange.askedFallbacks?.find((name) => !mayUse(exchange, name, resolveFallback(snapshot, name)));
  if (denied !== undefined) return accessDenied(exchange, denied);
  if (resolved === null)
    return gatewayError(
      'unknown_model',
      `Invalid model name passed in model=${model}. Call /v1/models to view the models available to this key.`,
      'model',
    );
  const { group } = resolved;
  if (group.family !== exchange.family) {
    const route = group.family === 'anthropic' ? '/v1/messages' : '/v1/chat/completions';
    return gatewayError(
      'wrong_protocol',
      `model ${JSON.stringify(model)} speaks the ${group.family} protocol: call it on ${route}`,
      'model',
    );
  }
  exchange.resolved = resolved;
  exchange.group = group;
  exchange.requestedGroup = group;
  if (!exchange.disableFallbacks) exchange.fallbacks = exchange.askedFallbacks ?? group.fallbacks;
  const previous = fields?.previousResponseId ?? null;
  return previous === null ? null : pinToResponse(exchange, previous);
}

function mayUse(exchange: Exchange, model: string, resolved: ResolvedModel | null): boolean {
  return mayUseModel(exchange.key!, model, resolved === null ? model : resolved.group.name);
}

function accessDenied(exchange: Exchange, model: string): GatewayError {
  const models = JSON.stringify(exchange.key!.record.models);
  return gatewayError(
    'model_access_denied',
    `key not allowed to access model. This key can only access models=${models}. Tried to access ${model}`,
    'model',
  );
}
