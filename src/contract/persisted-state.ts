import type { Snapshot } from './snapshot.ts';

/** Raised when a field changes meaning. */
export const PERSISTED_STATE_FORMAT = 3;

/**
 * What the control plane leaves in the data directory, sealed (src/runtime/sealed-file.ts), before it sends it: enough
 * for a sidecar to start and serve with no control plane.
 */
export interface PersistedState {
  readonly format: typeof PERSISTED_STATE_FORMAT;
  readonly snapshot: Snapshot;
  readonly keyDirectory: {
    /** Name within the data directory, not a path: the other plane may see the volume elsewhere. */
    readonly fileName: string;
    readonly sequence: number;
    readonly complete: boolean;
  };
  /** Hashes of the keys that the file declared: the control plane's, to know which of them it no longer does. */
  readonly declaredKeys: readonly string[];
}

/** Names within the data directory. */
export const DATA_FILES = {
  /** 32 random bytes. */
  sealKey: 'seal.key',
  /** A sealed PersistedState as JSON. */
  state: 'state.sealed',
  /** The demo's master key as text. */
  demoKey: 'demo-key',
  /** UUID of this node as text. */
  nodeId: 'node-id',
  /** Directory of journal segments. */
  journal: 'journal',
  /** A BudgetBase as JSON. */
  budgets: 'budgets.json',
  /** SQLite's database, where no other is configured. The control plane's alone. */
  store: 'slipstream.db',
  /** Directory of one lock per sidecar process that may write to the journal. */
  writers: 'writers',
} as const;
