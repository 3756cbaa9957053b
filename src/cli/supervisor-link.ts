import { startHeartbeat } from '../runtime/heartbeat.ts';
import type { FromChild, ToChild } from './child-messages.ts';
import { UsageError } from './command-line.ts';

/** A child's end of the channel to its supervisor. */
export class SupervisorLink {
  /**
   * @param onStop is called once, when the supervisor has gone: finish what is in flight and exit.
   * @throws {UsageError} when there is no supervisor.
   */
  constructor(command: string, onStop: () => void) {
    if (process.send === undefined) {
      throw new UsageError(`slipstream ${command}: --child is for the supervisor; leave it out`);
    }
    process.once('disconnect', onStop);
    // Ctrl-C reaches all processes of a terminal, systemd's SIGTERM all of a service: the supervisor says when and in
    // which order to stop. (SIGKILL is there for a single process that is to be replaced.)
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);
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
