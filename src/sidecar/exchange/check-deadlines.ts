import type { Exchange } from './exchange.ts';

/** The worker's tick: has the present wait for the provider, or the whole call, lasted too long? */
export function checkDeadlines(exchange: Exchange, nowMs: number): void {
  if (exchange.state !== 'forwarding') return;
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
