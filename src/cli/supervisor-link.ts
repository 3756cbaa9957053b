import { startHeartbeat } from '../runtime/heartbeat.ts';
import type { FromChild, ToChild } from './child-messages.ts';
import { UsageError } from './command-line.ts';

/** systemd and Kubernetes may signal every process of the service: the supervisor's word is waited for this long. */
const SIGNAL_GRACE_MS = 1000;

/** A child's end of the channel to its supervisor. */
export class SupervisorLink {
  readonly #onStop: () => void;

  /**
   * @param onStop is called once, when the supervisor has gone, or someone sent this very process SIGTERM: finish what
   * is in flight and exit.
   * @throws {UsageError} when there is no supervisor.
   */
  constructor(command: string, onStop: () => void) {
    if (process.send === undefined) {
      throw new UsageError(`slipstream ${command}: --child is for the supervisor; leave it out`);
    }
    this.#onStop = onStop;
    process.once('disconnect', () => this.#onStop());
    // Ctrl-C reaches all processes of a terminal; the supervisor decides.
    process.on('SIGINT', () => undefined).on('SIGHUP', () => undefined);
    process.once('SIGTERM', () => setTimeout(() => this.#onStop(), SIGNAL_GRACE_MS));
  }

  /** From now on messages come and heartbeats go. */
  open(onMessage: (message: ToChild) => void): void {
    process.on('message', onMessage);
    this.send({ type: 'hello' });
    startHeartbeat(() => this.send({ type: 'heartbeat' }));
  }

  /** Lost when the supervisor has gone. */
  send(message: FromChild): void {
    // Without a callback a failed send is thrown; the `disconnect` event says it all.
    if (process.connected) process.send?.(message, undefined, {}, () => undefined);
  }
}
