import type { Exchange } from './exchange.ts';

/** The worker's tick: has the present wait for the provider, or the whole call, lasted too long? Long ones are noted in the journal. */
export function checkDeadlines(exchange: Exchange, nowMs: number): void {
  if (exchange.state !== 'forwarding') return;
  exchange.noteIfLong(nowMs);
  const isCallOver = exchange.callDeadlineMs <= nowMs;
  if (!isCallOver && exchange.attemptDeadlineMs > nowMs) return;
  exchange.attemptDeadlineMs = Infinity;
  if (isCallOver) {
    exchange.callDeadlineMs = Infinity;
    exchange.numRetries = -1;
    exchange.fallbacks = [];
  }
  exchange.attempt?.onTimeout();
}
