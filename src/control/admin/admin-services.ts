import type { BudgetSettings } from '../../contract/snapshot.ts';
import type { KeyRecord } from '../../contract/key-record.ts';
import type { DeclaredKeys } from '../config/compile-keys.ts';
import type { Store } from '../store/store.ts';
import type { ModelInfoSource } from './model-info.ts';

/** What the admin API answers from: always the configuration in force. */
export interface AdminState extends ModelInfoSource {
  readonly masterKeyHash: string | null;
  readonly keyHeaderName: string | null;
  /** What no call can change. */
  readonly declared: DeclaredKeys;
  /** Pages that may read answers on the admin API's own address; `*`: any. Empty: none. */
  readonly corsOrigins: readonly string[];
  /** Those of everything and of providers, and where days begin. */
  readonly budgets: BudgetSettings;
  /** The body of GET /slipstream/status. */
  status(): unknown;
}

/** What the endpoints work with. */
export interface AdminServices {
  now(): number;
  state(): AdminState;
  /**
   * The virtual key of this hash, of the file or the store, as the sidecar knows it; null: there is none.
   *
   * @throws {StoreError} `unavailable` when that can't be known.
   */
  findKey(hash: string): Promise<KeyRecord | null>;
  /** The store is open, or can't be opened now, or that takes too long. For the first moments after a start. */
  storeOpened(): Promise<void>;
  /** @throws {StoreError} `unavailable` while the database is away. */
  store(): Store;
  /** Every change made so far has been told to the sidecars, or that takes too long to wait for. */
  changesPublished(): Promise<void>;
}
