export interface StoredKeySettings {
  /** Sidecars hold so many keys; any more they ask for. */
  readonly maxResident: number;
  /** Keys that are in LiteLLM's tables of the same database count too. */
  readonly readsLitellm: boolean;
}
