import { HeaderId } from '../../http1/header-id.ts';
import type { HeaderTable } from '../../http1/header-table.ts';
import type { Exchange } from './exchange.ts';

const FORWARDED_FOR = 'x-forwarded-for';

/**
 * Who sent the request: the connection's peer, or whom a trusted proxy names in X-Forwarded-For. Null for a Unix socket.
 * Kept with the connection for as long as the header stays the same.
 */
export function clientAddress({ connection, head, snapshot }: Exchange): string | null {
  const { trustedProxies } = snapshot;
  if (trustedProxies === null) return connection.peerAddress;
  const forwarded = forwardedFor(head.headers);
  if (connection.forwardedFor !== forwarded || connection.forwardedBy !== trustedProxies) {
    connection.forwardedFor = forwarded;
    connection.forwardedBy = trustedProxies;
    connection.forwardedClient = trustedProxies.clientOf(connection.peerAddress, forwarded);
  }
  return connection.forwardedClient;
}

/** `,"client":…` of the usage event. */
export function clientPart(exchange: Exchange): string {
  const address = exchange.snapshot.settings.clientAddress.record ? clientAddress(exchange) : null;
  return address === null ? ',"client":null' : `,"client":"${address}"`;
}

/** Several lines are one list (RFC 9110 §5.3). */
function forwardedFor(headers: HeaderTable): string {
  const first = headers.findName(FORWARDED_FOR);
  if (first === -1) return '';
  let list = headers.value(first);
  for (let index = first + 1; index < headers.count; index += 1) {
    if (headers.id(index) === HeaderId.XOther && headers.nameEquals(index, FORWARDED_FOR)) {
      list += `,${headers.value(index)}`;
    }
  }
  return list;
}
