import { asBytes } from '../../base/bytes.ts';
import { gatewayError } from '../../domain/errors/gateway-error.ts';
import { answerError } from '../exchange/answer-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { pathId, type Route } from '../exchange/route.ts';
import { localHeaders } from '../forward/answer-headers.ts';
import { listedModels } from './model-list.ts';

const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Routes whose answer needs no one else. */
export type LocalRoute = Extract<Route['kind'], 'models' | 'model' | 'liveness' | 'readiness' | 'metrics'>;

/** Answers what the sidecar knows itself: model list, health, metrics. */
export function answerLocally(exchange: Exchange, kind: LocalRoute): void {
  switch (kind) {
    case 'models':
      answerJson(exchange, 200, { data: listedModels(exchange), object: 'list' });
      return;
    case 'model':
      answerModel(exchange);
      return;
    case 'liveness':
      answerJson(exchange, 200, "I'm alive!");
      return;
    case 'readiness':
      answerReadiness(exchange);
      return;
    case 'metrics':
      exchange.worker.host.renderMetrics((text) => {
        if (exchange.state !== 'forwarding') return; // the client has left meanwhile
        answerText(exchange, 200, METRICS_CONTENT_TYPE, text);
      });
      return;
    default:
      kind satisfies never;
  }
}

function answerModel(exchange: Exchange): void {
  const id = decodeId(pathId(exchange.head.path, exchange.route));
  const model = listedModels(exchange).find((entry) => entry.id === id);
  if (model === undefined) {
    const message = `The model ${JSON.stringify(id)} does not exist, or this key may not use it.`;
    // Here the model is what the URL names, so it is a 404, as OpenAI's.
    answerError(exchange, { ...gatewayError('unknown_model', message, 'model'), status: 404 });
    return;
  }
  answerJson(exchange, 200, model);
}

function answerReadiness(exchange: Exchange): void {
  const { draining, handedOver, controlConnected } = exchange.worker;
  const isStopping = draining && !handedOver;
  const body = {
    status: isStopping ? 'draining' : 'connected',
    control_plane: controlConnected ? 'connected' : 'away',
    db: 'Not connected',
  };
  answerJson(exchange, isStopping ? 503 : 200, body);
}

function decodeId(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // not an encoding: no model has this name
  }
}

function answerJson(exchange: Exchange, status: number, value: unknown): void {
  answerText(exchange, status, 'application/json', JSON.stringify(value));
}

function answerText(exchange: Exchange, status: number, contentType: string, text: string): void {
  exchange.answerWhole(status, localHeaders(exchange, status, contentType), [asBytes(Buffer.from(text, 'utf8'))]);
}
