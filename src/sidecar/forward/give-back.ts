import { HeaderId } from '../../http1/header-id.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import type { UpstreamConnection } from '../upstream/upstream-connection.ts';

/** To its pool if it can carry another request, else it is closed. */
export function giveBack(connection: UpstreamConnection, isClean: boolean): void {
  const { head } = connection.parser;
  if (isClean && head.keepAlive) connection.release(keepAliveTimeoutMs(head));
  else connection.destroy();
}

/** `Keep-Alive: timeout=5` of the provider, in ms; null if it does not say. */
function keepAliveTimeoutMs(head: ResponseHead): number | null {
  const value = head.headers.text(HeaderId.KeepAlive);
  if (value === null) return null;
  const at = value.toLowerCase().indexOf('timeout=');
  if (at === -1) return null;
  const seconds = Number.parseInt(value.slice(at + 8), 10);
  return Number.isNaN(seconds) ? null : seconds * 1000;
}
