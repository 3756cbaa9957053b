/** What may be spent in one window. */
export interface BudgetSpec {
  /** Nano-dollars; 0 = nothing may be spent; null = as much as one likes. */
  readonly maxNano: number | null;
  /** Nano-dollars at which it is told of and nothing else happens; null = never. */
  readonly softNano: number | null;
  /** LiteLLM's form: `30s`, `24h`, `7d`, `1mo`. null = one window for all time. */
  readonly duration: string | null;
}

/** Budgets that requests of a key are under. null = none. */
export interface KeyBudgets {
  readonly key: BudgetSpec | null;
  /** Of the user named in the key. Not asked for a key of a team: the team pays. */
  readonly user: BudgetSpec | null;
  readonly team: BudgetSpec | null;
  /** Of the user within the team. */
  readonly member: BudgetSpec | null;
  /** Of the key's use of a model, by the name of a group or the one that clients use. */
  readonly models: Readonly<Record<string, BudgetSpec>>;
}

/** Whose budgets there are. */
export const BUDGET_SUBJECTS = ['key', 'user', 'team', 'member', 'model', 'global', 'provider', 'deployment'] as const;
export type BudgetSubject = (typeof BUDGET_SUBJECTS)[number];
