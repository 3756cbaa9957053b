import { totalmem } from 'node:os';
import { SharedQuota } from '../../contract/shared-quota.ts';

/** Workers take from the shared budget by this much, so that small amounts cost no atomic operation. */
const LEASE_BYTES = 64 * 1024;
/** What a worker keeps for its next requests; the rest goes back to all. */
const MAX_SPARE_LEASES = 8;

/** Share of the memory there is that bytes in flight may take, unless set otherwise. The heap and the kernel need theirs. */
const DEFAULT_SHARE = 0.25;

/**
 * Bytes that requests in flight make this sidecar hold, all workers together: bodies with the blocks they lie in, decoded
 * bodies, heads and requests that wait behind another, copies on their way to providers, answers that clients do not
 * take. Beyond the budget new bytes are refused (503) rather than the process killed by the kernel.
 *
 * Exact to what each worker has spare: at most nine leases of 64 KiB, which it has taken from the rest.
 */
export class MemoryBudget {
  readonly #quota: SharedQuota;
  #maxBytes = defaultBudgetBytes();
  #maxLeases = Math.floor(this.#maxBytes / LEASE_BYTES);
  /** Leased by this worker and not used. */
  #spareBytes = 0;

  constructor(memory: SharedArrayBuffer, workerIndex: number) {
    this.#quota = new SharedQuota(memory, workerIndex);
  }

  /** @param maxBytes null = a quarter of the memory there is. */
  configure(maxBytes: number | null): void {
    this.#maxBytes = maxBytes ?? defaultBudgetBytes();
    this.#maxLeases = Math.floor(this.#maxBytes / LEASE_BYTES);
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Held by this worker. */
  get ownBytes(): number {
    return this.#quota.own * LEASE_BYTES - this.#spareBytes;
  }

  /** At least so much could be taken now. */
  get leftBytes(): number {
    return Math.max(0, this.#maxLeases - this.#quota.used) * LEASE_BYTES + this.#spareBytes;
  }

  /** More is held than there should be, or all but. */
  get isUsedUp(): boolean {
    return this.#quota.used >= this.#maxLeases;
  }

  /** @returns false, and nothing is taken, if that is more than is left. */
  tryTake(bytes: number): boolean {
    // Fast case: from what this worker has spare.
    if (bytes <= this.#spareBytes) {
      this.#spareBytes -= bytes;
      return true;
    }
    const leases = Math.ceil((bytes - this.#spareBytes) / LEASE_BYTES);
    if (!this.#quota.tryTake(leases, this.#maxLeases)) return false;
    this.#spareBytes += leases * LEASE_BYTES - bytes;
    return true;
  }

  /** Takes it whether there is that much or not: it exists already. */
  take(bytes: number): void {
    if (this.tryTake(bytes)) return;
    const leases = Math.ceil((bytes - this.#spareBytes) / LEASE_BYTES);
    this.#quota.take(leases);
    this.#spareBytes += leases * LEASE_BYTES - bytes;
  }

  give(bytes: number): void {
    this.#spareBytes += bytes;
    if (this.#spareBytes < (MAX_SPARE_LEASES + 1) * LEASE_BYTES) return;
    const leases = Math.floor(this.#spareBytes / LEASE_BYTES) - 1;
    this.#quota.give(leases);
    this.#spareBytes -= leases * LEASE_BYTES;
  }

  /** The worker's tick: what it does not need goes back, so that an idle worker holds nothing from the others. */
  tick(): void {
    const leases = Math.floor(this.#spareBytes / LEASE_BYTES);
    if (leases === 0) return;
    this.#quota.give(leases);
    this.#spareBytes -= leases * LEASE_BYTES;
  }
}

/** A quarter of what the control group, or else the machine, has. */
export function defaultBudgetBytes(): number {
  const machine = totalmem();
  const constrained = process.constrainedMemory(); // 0 or beyond the machine's: no limit
  return Math.floor(DEFAULT_SHARE * (constrained > 0 && constrained < machine ? constrained : machine));
}
