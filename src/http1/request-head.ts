import type { HeaderTable } from './header-table.ts';

/** What a client asks for. One object per parser, filled anew by each head. */
export interface RequestHead {
  /** As sent: methods are case-sensitive. */
  readonly method: string;
  /** As sent. */
  readonly target: string;
  /** Of the target, before the `?`, as sent (not decoded); `/` if an absolute URI has none; `*` of `OPTIONS *`. */
  readonly path: string;
  /** Of the target, behind the first `?`; empty if there is none. */
  readonly query: string;
  /** HTTP/1.`minor` */
  readonly minor: 0 | 1;
  readonly headers: HeaderTable;
  readonly framing: 'none' | 'length' | 'chunked';
  /** −1 unless `framing` is `length`; may be 0. */
  readonly contentLength: number;
  /** What the client allows (RFC 9112 §9.3): 1.1 unless it says close, 1.0 if it says keep-alive and not close. */
  readonly keepAlive: boolean;
  /** Connection may name headers that end here (RFC 9110 §7.6.1): ask `isNamedByConnection` before forwarding one. */
  readonly connectionNamesHeaders: boolean;
  /** HTTP/1.0's `100-continue` is `none`, as RFC 9110 §10.1.1 wants it. */
  readonly expectation: 'none' | 'continue' | 'other';
  /** Connection names `upgrade` and there is an Upgrade header; never in HTTP/1.0 (RFC 9110 §7.8). */
  readonly upgrade: boolean;
  /** From the method through the empty line. */
  readonly headBytes: number;
}

/** The same, writable: the parser's own view. */
export class RequestHeadRecord implements RequestHead {
  method: string = '';
  target: string = '';
  path: string = '';
  query: string = '';
  minor: 0 | 1 = 1;
  readonly headers: HeaderTable;
  framing: 'none' | 'length' | 'chunked' = 'none';
  contentLength: number = -1;
  keepAlive: boolean = false;
  connectionNamesHeaders: boolean = false;
  expectation: 'none' | 'continue' | 'other' = 'none';
  upgrade: boolean = false;
  headBytes: number = 0;

  constructor(headers: HeaderTable) {
    this.headers = headers;
  }
}
