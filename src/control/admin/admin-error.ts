import { errorStatus, type GatewayError, gatewayError } from '../../domain/errors/gateway-error.ts';
import type { ErrorName } from '../../domain/errors/error-table.ts';

/** An endpoint's refusal: ends the call with this answer. */
export class AdminError extends Error {
  override readonly name = 'AdminError';
  readonly gatewayError: GatewayError;

  constructor(error: GatewayError) {
    super(error.message);
    this.gatewayError = error;
  }

  get status(): number {
    return errorStatus(this.gatewayError);
  }
}

/** @param param the request field at fault. */
export function adminError(name: ErrorName, message: string, param: string | null = null): AdminError {
  return new AdminError(gatewayError(name, message, param));
}
