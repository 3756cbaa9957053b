import { z } from 'zod';
import { matchModelPattern } from '../../domain/routing/model-pattern.ts';
import { type AdminEndpoint, endpoint } from './endpoint.ts';
import { modelInfoBody } from './model-info.ts';
import { modelInfoQuery, modelInfoReply } from './schemas/model-schemas.ts';

const status = endpoint({
  method: 'GET',
  paths: ['/slipstream/status'],
  tag: 'gateway',
  access: 'admin',
  summary: 'Configuration in force, deployments, sidecars, and why the last edit was not taken.',
  reply: z.looseObject({}),
  handle: (_call, services) => services.state().status() as Record<string, unknown>,
});

const modelInfo = endpoint({
  method: 'GET',
  paths: ['/model/info', '/v1/model/info'],
  tag: 'models',
  access: 'key-holder',
  summary: 'Deployments without their secrets: all to the master key, to a key those that it may use.',
  query: modelInfoQuery,
  reply: modelInfoReply,
  handle: ({ caller, query }, services) => {
    const body = modelInfoBody(services.state(), query.litellm_model_id ?? null);
    if (caller.role === 'admin' || caller.record.models.length === 0) return body;
    const { models } = caller.record;
    return {
      data: body.data.filter(({ model_name: name }) => models.some((model) => matchModelPattern(model, name) !== null)),
    };
  },
});

export const GATEWAY_ENDPOINTS: readonly AdminEndpoint[] = [status, modelInfo];
