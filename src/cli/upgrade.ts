import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../runtime/logger.ts';
import type { SharedState } from '../sidecar/worker/shared-state.ts';
import { StartError } from './start-error.ts';
import type { SupervisedChild } from './supervised-child.ts';

/** Modules, snapshot, keys, worker threads: some hundred milliseconds, on a busy machine some seconds. */
const START_MS = 60_000;
/** A sidecar that takes longer to hand over hangs. */
const HAND_OVER_MS = 5_000;
/** The control plane has nothing to finish but a reload and a few admin requests. */
const CONTROL_STOP_MS = 10_000;

/**
 * Puts a new process in place of the control plane's. Traffic flows without it.
 *
 * @throws {StartError} when the new one does not start; it is tried again and again, as after a crash.
 */
export async function replaceControl(control: SupervisedChild): Promise<void> {
  const stopped = control.replace({ type: 'stop' });
  if (
    (await within(
      CONTROL_STOP_MS,
      stopped.then(() => 'stopped'),
    )) === null
  )
    control.kill();
  await stopped;
  if ((await within(START_MS, control.next('ready'))) !== null) return;
  throw new StartError(
    'the new control plane does not start, its log says why; the sidecar is the old one, and serves',
  );
}

/**
 * Puts `next` in place of `old`:
 *
 *     next: starts, has its configuration ──prepared──┐                 ┌──► imports, listens ──ready
 *     old:  serves ──────────────────────────hand-over┴──► stops accepting, finishes what is in progress, exits
 *
 * Between the two nobody accepts for some milliseconds: connections queue at the socket, which the supervisor holds open.
 *
 * @param onHandedOver `next` is the sidecar from here on.
 * @throws {StartError} when `next` does not get ready; `old` then goes on as if nothing had been.
 */
export async function replaceSidecar(
  old: SupervisedChild,
  next: SupervisedChild,
  onHandedOver: () => void,
  logger: Logger,
): Promise<void> {
  next.start();
  if ((await within(START_MS, next.next('prepared'))) === null) {
    next.retire();
    next.kill();
    throw new StartError('the new sidecar does not start, its log says why; the old one goes on serving');
  }
  old.retire();
  const ready = next.next('ready');
  const state = await handOver(old, logger);
  onHandedOver();
  next.send({ type: 'take-over', state });
  void old.whenStopped().then(() => next.send({ type: 'predecessor-ended' }));
  if ((await within(START_MS, ready)) === null) {
    throw new StartError('the new sidecar ended as it took over; it is started again, its log says more');
  }
}

async function handOver(old: SupervisedChild, logger: Logger): Promise<SharedState> {
  const handedOver = old.next('handed-over');
  old.send({ type: 'hand-over' });
  const answer = await within(HAND_OVER_MS, handedOver);
  if (answer !== null) return answer.state;
  if (old.isRunning) logger.error('the old sidecar does not hand over; it is killed');
  old.kill();
  await old.whenStopped();
  return {};
}

/** Null when `promise` takes longer. */
async function within<Value>(limitMs: number, promise: Promise<Value>): Promise<Value | null> {
  const stop = new AbortController();
  const late = sleep(limitMs, null, { signal: stop.signal }).catch(() => null);
  try {
    return await Promise.race([promise, late]);
  } finally {
    stop.abort();
  }
}
