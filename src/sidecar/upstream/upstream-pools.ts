import type { OriginSpec } from '../../contract/snapshot.ts';
import { DnsCache, type LookupFunction } from './dns-cache.ts';
import { ReadSlab } from '../socket/read-slab.ts';
import {
  UpstreamPool,
  type UpstreamPoolHome,
  type UpstreamPoolOptions,
  type UpstreamPoolStats,
} from './upstream-pool.ts';
import { originKey } from './upstream-target.ts';

export interface UpstreamPoolsOptions extends UpstreamPoolOptions {
  /** How names are looked up; default dns.lookup, all addresses. Read once, at construction. */
  readonly lookup?: LookupFunction;
}

/** All upstream connections of one worker. A pool is kept by what its connections may be reused for, not by snapshot. */
export class UpstreamPools implements UpstreamPoolHome {
  readonly dns: DnsCache;
  readonly slab: ReadSlab;
  #options: UpstreamPoolsOptions;
  readonly #byKey: Map<string, UpstreamPool>;
  /** Those that need a tick: not empty. Also pools that vanished from `#byKey`, while an old request uses them. */
  readonly #active: Set<UpstreamPool>;
  #isClosed: boolean;

  constructor(options: UpstreamPoolsOptions) {
    this.dns = new DnsCache(options.lookup);
    this.slab = new ReadSlab();
    this.#options = options;
    this.#byKey = new Map();
    this.#active = new Set();
    this.#isClosed = false;
  }

  get options(): UpstreamPoolOptions {
    return this.#options;
  }

  /** The same pool for equal specs. */
  poolFor(origin: OriginSpec): UpstreamPool {
    const key = originKey(origin);
    let pool = this.#byKey.get(key);
    if (pool === undefined) {
      pool = new UpstreamPool(key, origin, this);
      this.#byKey.set(key, pool);
      if (this.#isClosed) pool.close();
    }
    pool.name();
    return pool;
  }

  /** Takes effect for connections and waits that begin from now on. */
  configure(options: UpstreamPoolsOptions): void {
    this.#options = options;
  }

  /**
   * Says which pools the current snapshot uses: those that `poolFor` answered for its origins. The others close what is
   * idle, finish what is in use, and vanish.
   */
  retain(named: ReadonlySet<UpstreamPool>): void {
    for (const pool of this.#byKey.values()) {
      if (named.has(pool)) continue;
      pool.retire();
      if (pool.restIfEmpty()) this.#byKey.delete(pool.key);
    }
  }

  /** Called every 100 ms with the clock that `acquire` is given. */
  tick(nowMs: number): void {
    this.dns.tick(nowMs);
    for (const pool of this.#active) {
      pool.tick(nowMs);
      if (!pool.restIfEmpty()) continue;
      this.#active.delete(pool);
      if (pool.isRetired && this.#byKey.get(pool.key) === pool) this.#byKey.delete(pool.key);
    }
  }

  stats(): UpstreamPoolStats[] {
    return Array.from(new Set([...this.#byKey.values(), ...this.#active]), (pool) => pool.stats());
  }

  /** Cuts off all connections, their owners hear of it; nothing can be acquired afterwards. */
  closeAll(): void {
    this.#isClosed = true;
    for (const pool of new Set([...this.#byKey.values(), ...this.#active])) pool.close();
  }

  onPoolActive(pool: UpstreamPool): void {
    this.#active.add(pool);
  }
}
