import type { CompiledSnapshot } from '../compiled-snapshot.ts';
import type { ArrivalRush } from '../downstream/arrival-rush.ts';
import type { BlockPool } from '../exchange/block-pool.ts';
import type { CallIds } from '../exchange/call-id.ts';
import type { JournalWaiter, JournalWriter } from '../journal/journal-writer.ts';
import type { KeyStore } from '../keys/key-store.ts';
import type { LookupLimiter } from '../keys/lookup-limiter.ts';
import type { WorkerLimits } from '../limits/worker-limits.ts';
import type { ResponseOwners } from '../local/response-owners.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Admission } from '../overload/admission.ts';
import type { RetryQueue } from '../forward/retry-queue.ts';
import type { HealthChecks } from '../health/health-checks.ts';
import type { DeploymentHealth } from '../routing/deployment-health.ts';
import type { MemoryBudget } from '../overload/memory-budget.ts';
import type { ReadSlab } from '../socket/read-slab.ts';
import type { DeploymentLoad } from '../routing/deployment-load.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import type { SharedMemory } from './shared-memory.ts';
import type { SidecarMetrics } from './sidecar-metrics.ts';

/** What a worker asks of the sidecar's main thread. */
export interface WorkerHost {
  /** Asks the control plane for a key; every waiting request of this worker hears by `keyAnswered`. */
  lookUpKey(hashHex: string): void;
  /** The text of /metrics, all workers summed, handed to `take` (later, if the main thread is another one). */
  renderMetrics(take: (text: string) => void): void;
  /** A response was made: other workers and the disk learn who may ask for it. */
  shareResponse(responseId: string, deploymentId: string, owner: string): void;
  /** The number of open connections, for the choice of the worker that gets the next one. */
  connectionsChanged(count: number): void;
}

/** What requests see of the worker that serves them. One object per thread. */
export interface WorkerContext {
  snapshot: CompiledSnapshot | null;
  readonly keys: KeyStore;
  readonly limits: WorkerLimits;
  readonly journal: JournalWriter;
  /** Hears of `open` lines, for which nobody waits. */
  readonly openLines: JournalWaiter;
  readonly metrics: SidecarMetrics;
  readonly ids: CallIds;
  readonly responses: ResponseOwners;
  readonly lookupLimiter: LookupLimiter;
  readonly host: WorkerHost;
  readonly shared: SharedMemory;
  /** Load of each deployment, of all threads. */
  readonly load: DeploymentLoad;
  readonly adminPool: UpstreamPool;
  readonly admission: Admission<Exchange>;
  readonly budget: MemoryBudget;
  /** Where all connections of the thread read to. */
  readonly slab: ReadSlab;
  readonly blocks: BlockPool;
  readonly rush: ArrivalRush;
  readonly health: DeploymentHealth;
  readonly retries: RetryQueue;
  readonly healthChecks: HealthChecks;
  /** Every answer says `connection: close`. */
  draining: boolean;
  /** Drains because another sidecar has taken its place: the service as a whole stays ready. */
  handedOver: boolean;
  /** The control plane is there: a key it doesn't know is unknown, not unresolved. */
  controlConnected: boolean;
  /** Requests waiting for a key, by its hex SHA-256. */
  readonly keyWaiters: Map<string, KeyWaiter[]>;
  /** A throw that reached the edge of a connection: our fault. Logged and counted; that connection is dropped. */
  onFault(error: unknown): void;
}

/** A request that waits for a key look-up. */
export interface KeyWaiter {
  /** Look in the key store again; `failed`: the control plane could not tell. */
  onKeyResolved(failed: boolean): void;
}
