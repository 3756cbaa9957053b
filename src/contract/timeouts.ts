/** One row of the timeout table: docs/timeouts.md and the configuration schema are made from it. */
export interface TimeoutSpec {
  readonly defaultMs: number;
  readonly starts: string;
  readonly ends: string;
  readonly doesNotBound: string;
}

function timeout(defaultMs: number, starts: string, ends: string, doesNotBound: string): TimeoutSpec {
  return Object.freeze({ defaultMs, starts, ends, doesNotBound });
}

/**
 * Every timeout of the sidecar. A timeout never fires early and at most one tick (100 ms) late.
 * Names are also the keys of `SidecarSettings.timeouts` and, in snake case, of `slipstream.timeouts` in seconds.
 */
export const TIMEOUTS = {
  clientHeadMs: timeout(
    30_000,
    'connection accepted, or first byte of a later request',
    'request head complete',
    'the wait between requests (clientIdleMs)',
  ),
  clientHandshakeMs: timeout(
    10_000,
    'connection accepted on a listener with TLS or PROXY protocol',
    'PROXY header read and TLS handshake done',
    'the first request (clientHeadMs)',
  ),
  clientBodyIdleMs: timeout(
    60_000,
    'head complete, and each body byte received',
    'next body byte, or body complete',
    'the time for the whole body (clientBodyMs)',
  ),
  clientBodyMs: timeout(
    60_000,
    'head complete',
    'body complete; all that has come earns more time, a second for every limits.min_body_rate bytes',
    'a body that comes faster than that; its size is limited',
  ),
  clientIdleMs: timeout(
    75_000,
    'answer complete on a kept-alive connection',
    'first byte of the next request',
    'a request in progress',
  ),
  clientWriteIdleMs: timeout(
    60_000,
    'the client stops reading while bytes wait for it, and each time it has taken 4 KiB of them',
    'all waiting bytes taken',
    'the time for the whole answer',
  ),
  clientLingerMs: timeout(
    2_000,
    'last answer of a connection sent, ours is closed for writing',
    'the client closes its side; what it still sends is read and dropped',
    'nothing: then the connection is reset',
  ),
  queueWaitMs: timeout(
    2_000,
    'request complete, while max_in_flight requests are in flight',
    'one of them is done, and this one is the oldest that waits',
    'the request itself',
  ),
  connectMs: timeout(
    10_000,
    'attempt needs a new connection',
    'connected, name look-up, proxy CONNECT and TLS handshake included',
    'waiting for a free connection (poolWaitMs)',
  ),
  poolWaitMs: timeout(10_000, 'the origin is at its connection limit', 'a connection became free', 'connecting'),
  requestMs: timeout(
    600_000,
    'request body complete',
    'last byte of the answer',
    'reading the request; for streams it ends at the first event',
  ),
  firstByteMs: timeout(
    600_000,
    'attempt sent to the provider',
    'head of its answer complete',
    'the rest of the answer',
  ),
  streamFirstEventMs: timeout(
    600_000,
    'attempt sent to the provider',
    'first event of its stream that is no comment or ping',
    'the rest of the stream',
  ),
  streamIdleMs: timeout(
    300_000,
    'a byte of the stream received',
    'next byte of the stream',
    'the length of the whole stream',
  ),
  tunnelIdleMs: timeout(
    600_000,
    'a Realtime session opened, and each byte in it',
    'next byte, from either side; of a side that takes nothing, the other is not heard (clientWriteIdleMs)',
    'the length of the session',
  ),
  upstreamIdleMs: timeout(
    30_000,
    'connection returned to the pool',
    'taken for another attempt',
    'an attempt in progress',
  ),
  authLookupMs: timeout(3_000, 'control plane asked for an unknown key', 'its answer', 'anything else'),
  shutdownDelayMs: timeout(
    0,
    'SIGTERM: readiness turns false, connection: close on every answer',
    'the listening socket is closed',
    'requests in flight',
  ),
  drainMs: timeout(
    30_000,
    'the listening socket is closed',
    'the last request in flight is done',
    'nothing: what is left is cut off and recorded',
  ),
} as const satisfies Record<string, TimeoutSpec>;

export type TimeoutName = keyof typeof TIMEOUTS;
export type Timeouts = Readonly<Record<TimeoutName, number>>;
