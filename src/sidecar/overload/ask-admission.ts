import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import type { Exchange } from '../exchange/exchange.ts';

/** One of `max_in_flight` for a request to a provider; health, metrics, model lists and the control plane's need none. */
export function askAdmission(exchange: Exchange): 'admitted' | 'queued' | 'refused' {
  const { admission } = exchange.worker;
  if (admission.isOff || !exchange.isUsage) return 'admitted';
  const result = admission.enter(exchange);
  exchange.holdsPermit = result === 'admitted';
  return result;
}

/** The body of a request that will be refused need not be read. */
export function isOverfull(exchange: Exchange): boolean {
  const { admission } = exchange.worker;
  if (admission.isOff || !admission.isFull || !exchange.isUsage) return false;
  admission.countRefused();
  return true;
}

/** One second: by then as many requests have ended as the queue holds, unless they last longer than that. */
export function tooManyInFlight(): GatewayError {
  return { ...gatewayError('overloaded', 'Too many requests are in flight.'), retryAfterSeconds: 1 };
}
