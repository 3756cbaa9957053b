import type { Socket } from 'node:net';
import type { MockFault } from './mock-options.ts';

/** How an exchange ended: all sent; the other side left; or as the fault wanted. */
export type Outcome = 'sent' | 'aborted' | MockFault;

/** A reply on its way. */
export interface SendingReply {
  /** The connection is gone: no more timers, no more writes. */
  cancel(): void;
}

/** A reset throws away what the kernel has not sent: give it time to. */
const RESET_DELAY_MS = 20;

/** Ends the connection after part of a reply, in the way of the fault. */
export function breakOff(socket: Socket, fault: MockFault, done: (outcome: Outcome) => void): SendingReply | null {
  if (fault !== 'reset-mid') {
    socket.end();
    done(fault);
    return null;
  }
  const timer = setTimeout(() => {
    socket.resetAndDestroy();
    done(fault);
  }, RESET_DELAY_MS);
  return { cancel: () => clearTimeout(timer) };
}
