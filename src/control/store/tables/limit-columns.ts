/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Limits of a key, user or team; null = none. */
export interface LimitColumns {
  rpm_limit: number | null;
  tpm_limit: number | null;
  max_parallel_requests: number | null;
  /** `{model: limit}` */
  model_rpm_limit: Readonly<Record<string, number>>;
  model_tpm_limit: Readonly<Record<string, number>>;
}

/** Budgets of a key, user or team; null = none, 0 = nothing may be spent. */
export interface BudgetColumns {
  /** Spent of all time. Written by ingestion; what is shown is `shown-spend.ts`. */
  spend_nano: bigint;
  max_budget_nano: bigint | null;
  soft_budget_nano: bigint | null;
  /** LiteLLM's form: `30s`, `30m`, `24h`, `7d`, `1mo`. */
  budget_duration: string | null;
  /** Not kept: it follows from the duration. */
  budget_reset_at_ms: number | null;
  /** By model, as LiteLLM's API has it. */
  model_max_budget: JsonObject;
}

/** Who and when; null = before there was a record of it. */
export interface ProvenanceColumns {
  created_at_ms: number;
  updated_at_ms: number;
  created_by: string | null;
  updated_by: string | null;
}

/** What both a key and its owners have. */
export interface CommonColumns extends LimitColumns, BudgetColumns, ProvenanceColumns {
  /** Names, patterns with `*`, LiteLLM's words; empty = all. */
  models: readonly string[];
  metadata: JsonObject;
  tags: readonly string[];
  blocked: boolean;
  /** Fields of LiteLLM's API that are kept and given back, and mean nothing here yet. */
  extra: JsonObject;
}
