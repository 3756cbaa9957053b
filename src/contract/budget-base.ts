/** Raised when a field changes meaning. */
export const BUDGET_BASE_FORMAT = 1;

/**
 * What budgets had spent by a point in the journal: a file that the control plane leaves in the data directory, JSON. A
 * sidecar that starts goes on from it with the events that lie behind that point.
 */
export interface BudgetBase {
  readonly format: typeof BUDGET_BASE_FORMAT;
  /** By name of the segment, the offset up to which its events are counted below; 0 where it is not named. */
  readonly positions: Readonly<Record<string, number>>;
  /** By the row's name (budget-row.ts). Rows whose window is over are left out. */
  readonly rows: Readonly<Record<string, BudgetBaseRow>>;
}

/** Nano-dollars as text: more than a number may hold. */
export interface BudgetBaseRow {
  /** What events of this node's journal cost. */
  readonly own: string;
  /** What events of other nodes cost, and what was set by hand, which may be below 0. */
  readonly others: string;
}
