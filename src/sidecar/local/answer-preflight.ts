import { gatewayError } from '../../domain/errors/gateway-error.ts';
import { statusLine } from '../../http1/serializer.ts';
import { answerError } from '../exchange/answer-error.ts';
import { isAllowed } from '../exchange/cors.ts';
import type { Exchange } from '../exchange/exchange.ts';

const WANTED = 'access-control-request-headers';

/** A browser asks whether a page may send a request. */
export function answerPreflight(exchange: Exchange): void {
  const { headers } = exchange.head;
  const cors = exchange.snapshot.cors!;
  if (!isAllowed(cors, headers)) {
    answerError(exchange, gatewayError('origin_not_allowed', 'Pages of this origin may not use the gateway.'));
    return;
  }
  const index = headers.findName(WANTED);
  const wanted = index === -1 ? '' : headers.value(index);
  // Not `*`, which does not stand for authorization.
  const allowed = wanted === '' ? '' : `access-control-allow-headers: ${wanted}\r\n`;
  exchange.answerBodiless(204, `${statusLine(204)}${cors.preflightLines}${allowed}`);
}
