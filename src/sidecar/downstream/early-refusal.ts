import { asBytes } from '../../base/bytes.ts';
import { errorBody, errorStatus, gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import type { ParseFailure } from '../../http1/refusals.ts';
import { statusLine } from '../../http1/serializer.ts';
import type { Outgoing } from '../socket/outgoing.ts';

/** The answer where there is no exchange that could give one. It closes the connection. */
export function earlyRefusal(error: GatewayError): Outgoing {
  const body = errorBody(error, 'openai');
  const retry = error.retryAfterSeconds > 0 ? `retry-after: ${error.retryAfterSeconds}\r\n` : '';
  const head =
    `${statusLine(errorStatus(error))}content-type: application/json\r\nx-slipstream-error: ${error.name}\r\n${retry}` +
    `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n`;
  return { head, parts: [asBytes(Buffer.from(body, 'utf8'))], tail: '' };
}

/** The parser's rules know the status better than the table: 501 for another coding, 414 for a long target. */
export function malformedError({ name, message, status }: ParseFailure): GatewayError {
  return { ...gatewayError(name, message), status };
}
