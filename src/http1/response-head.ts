import type { HeaderTable } from './header-table.ts';
import type { Framing } from './message-facts.ts';

/** What a provider answers. One object per parser, filled anew by each head. */
export interface ResponseHead {
  readonly status: number;
  /** HTTP/1.`minor` */
  readonly minor: 0 | 1;
  readonly headers: HeaderTable;
  /** `upgraded`: after a 101 that was asked for, or a 2xx to CONNECT, what follows is no HTTP. */
  readonly framing: Framing;
  /** −1 unless `framing` is `length`; may be 0. (A HEAD's or 304's Content-Length is in `headers` only.) */
  readonly contentLength: number;
  /** The connection may carry another request after this answer (RFC 9112 §9.3). */
  readonly keepAlive: boolean;
  /** Connection may name headers that end here (RFC 9110 §7.6.1): ask `isNamedByConnection` before forwarding one. */
  readonly connectionNamesHeaders: boolean;
}

/** The same, writable: the parser's own view. */
export class ResponseHeadRecord implements ResponseHead {
  status: number = 0;
  minor: 0 | 1 = 1;
  readonly headers: HeaderTable;
  framing: Framing = 'none';
  contentLength: number = -1;
  keepAlive: boolean = false;
  connectionNamesHeaders: boolean = false;

  constructor(headers: HeaderTable) {
    this.headers = headers;
  }
}
