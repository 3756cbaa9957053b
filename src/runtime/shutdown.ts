import { closeSync, openSync } from 'node:fs';

/** npm and the terminal each send SIGINT for one Ctrl-C: a second signal within this time is the same one. */
const SAME_SIGNAL_WITHIN_MS = 1000;

export interface SignalHandlers {
  /** First SIGTERM or SIGINT: stop in an orderly way. */
  readonly onStop: (signal: NodeJS.Signals) => void;
  /** A later one: the operator does not want to wait. */
  readonly onForce: (signal: NodeJS.Signals) => void;
  /** SIGHUP. */
  readonly onReload: () => void;
}

/**
 * Installs the handlers, which PID 1 needs too: the kernel ignores signals that PID 1 has no handler for.
 *
 * @returns removes them.
 */
export function handleSignals(handlers: SignalHandlers): () => void {
  const hadTerminal = hasTerminal();
  let firstAtMs: number | null = null;
  const onStop = (signal: NodeJS.Signals): void => {
    const nowMs = performance.now();
    if (firstAtMs === null) {
      firstAtMs = nowMs;
      handlers.onStop(signal);
    } else if (nowMs - firstAtMs > SAME_SIGNAL_WITHIN_MS) {
      handlers.onForce(signal);
    }
  };
  const onHangUp = (): void => {
    // A closed terminal sends SIGHUP too, and means the opposite of "reload".
    if (hadTerminal && !hasTerminal()) onStop('SIGHUP');
    else handlers.onReload();
  };
  process.on('SIGTERM', onStop).on('SIGINT', onStop).on('SIGHUP', onHangUp);
  return () => {
    process.off('SIGTERM', onStop).off('SIGINT', onStop).off('SIGHUP', onHangUp);
  };
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}
