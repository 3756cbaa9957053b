/** Nano-dollars spent in one window of one budget, by whose events. */
export interface BudgetSpendTable {
  /** Of the row (contract/budget-row.ts). */
  name: string;
  /** UUID of the node whose journal told; empty for what no position of a journal stands for (`NO_NODE`). */
  node: string;
  /** When the window ends; null = never. */
  end_ms: number | null;
  spend_nano: bigint;
  updated_at_ms: number;
}

/** What was set by hand, and requests that ended with their process. */
export const NO_NODE = '';
