import { LimitTable, newLimitMemory, type LimitMemory } from '../../contract/limit-table.ts';
import { SharedQuota } from '../../contract/shared-quota.ts';
import { newJournalSpaceCells, type JournalSpaceCells } from '../journal/journal-space.ts';
import { clearInFlight, newDeploymentLoadMemory, type DeploymentLoadMemory } from '../routing/deployment-load.ts';
import { newHealthMemory } from '../routing/deployment-health.ts';
import type { SidecarSettings } from '../../contract/snapshot.ts';
import { systemMs } from '../limits/system-clock.ts';

/**
 * Memory that all threads of a sidecar work on, made once by its main thread. Who owns a part defines its layout; nothing
 * in it needs a lock, since a thread may end at any instruction.
 */
export interface SharedMemory {
  /** Place in the parts that have a region per worker; a worker that takes another's place keeps its number. */
  readonly workerIndex: number;
  readonly workerCount: number;
  /** Open connections of each worker, read by the main thread to choose where a new one goes. */
  readonly connectionCounts: Int32Array<SharedArrayBuffer>;
  /** Goes up as long as the worker's loop turns; the main thread only compares it with what it was before. */
  readonly heartbeats: Int32Array<SharedArrayBuffer>;
  /** What the segments of all workers take: `JournalSpace`. */
  readonly journalSpace: JournalSpaceCells;
  /** `DeploymentHealth`. */
  readonly deploymentHealth: SharedArrayBuffer;
  /** SharedQuota: requests in flight, of `limits.max_in_flight`. */
  readonly admission: SharedArrayBuffer;
  /** SharedQuota: bytes in flight, of `limits.max_in_flight_bytes`; in leases of `MemoryBudget`. */
  readonly memoryBudget: SharedArrayBuffer;
  readonly deploymentLoad: DeploymentLoadMemory;
  /** LimitTable: requests, tokens, permits and money of keys, users, teams, model groups, deployments. */
  readonly limits: LimitMemory;
  /** Monotonic time of the machine at which this was made, ms: zero of the limit table's clock. */
  readonly startedSystemMs: number;
}

const LOOKS = 10;
const LOOK_EVERY_MS = 50;

/**
 * Worker `workerIndex` has ended: what it had taken of amounts that all share is given back. Called by the main thread
 * once for each worker thread that has ended, for whatever reason (a throw, a hang, an orderly end): when none of its
 * instructions can run any more, and before another worker takes its place.
 */
export function giveBackShares(shared: SharedMemory, workerIndex: number): void {
  Atomics.store(shared.connectionCounts, workerIndex, 0);
  clearInFlight(shared.deploymentLoad, workerIndex);
  new LimitTable(shared.limits, workerIndex).returnHeld(workerIndex);
  for (const memory of [shared.admission, shared.memoryBudget]) {
    SharedQuota.giveBackAll(memory, workerIndex);
    forgetUnowned(memory, LOOKS, Infinity);
  }
}

/** What the ended worker was just taking or giving back: the least that nobody owns, of looks over half a second. */
function forgetUnowned(memory: SharedArrayBuffer, looksLeft: number, least: number): void {
  const unowned = Math.min(least, SharedQuota.unowned(memory));
  if (looksLeft > 0) setTimeout(forgetUnowned, LOOK_EVERY_MS, memory, looksLeft - 1, unowned).unref();
  else if (unowned !== 0) SharedQuota.forget(memory, unowned);
}

type RateLimitSizes = Pick<SidecarSettings['rateLimits'], 'windowMs' | 'maxSubjects'>;

/** For a sidecar of `workerCount` workers, as its worker 0 sees it. */
export function newSharedMemory(workerCount: number, rateLimits: RateLimitSizes): SharedMemory {
  const limitRows = 2 ** Math.ceil(Math.log2(rateLimits.maxSubjects));
  return {
    workerIndex: 0,
    workerCount,
    connectionCounts: new Int32Array(new SharedArrayBuffer(4 * workerCount)),
    heartbeats: new Int32Array(new SharedArrayBuffer(4 * workerCount)),
    admission: SharedQuota.memoryFor(workerCount),
    memoryBudget: SharedQuota.memoryFor(workerCount),
    deploymentLoad: newDeploymentLoadMemory(workerCount),
    journalSpace: newJournalSpaceCells(workerCount),
    deploymentHealth: newHealthMemory(),
    limits: newLimitMemory(limitRows, workerCount, rateLimits.windowMs),
    startedSystemMs: systemMs(),
  };
}
