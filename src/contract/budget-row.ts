import type { BudgetSubject } from './budget-spec.ts';

/*
 * What is spent in one window of one budget is a row of its own, so that nothing has to be set back when a window ends:
 *
 *     <subject>:<id>:<duration>:<start of the window>-<its end>      Unix ms, end 0: it never ends
 *
 * Usage events name the rows that they were charged to. Whoever adds up events (the database, a sidecar that starts)
 * needs to know nothing of keys, durations and time zones for it.
 */

/** A row's name taken apart. */
export interface BudgetRow {
  /** `<subject>:<id>:<duration>`: the same in all windows. */
  readonly owner: string;
  readonly startMs: number;
  /** Infinity: never. */
  readonly endMs: number;
}

const PATTERN = /^(.*):(\d{1,16})-(\d{1,16})$/s;

/** @param duration null = the one window for all time. */
export function budgetOwner(subject: BudgetSubject, id: string, duration: string | null): string {
  return `${subject}:${id}:${duration ?? ''}`;
}

export function budgetRowName({ owner, startMs, endMs }: BudgetRow): string {
  return `${owner}:${startMs}-${endMs === Infinity ? 0 : endMs}`;
}

/** @returns null for what is no such name. */
export function parseBudgetRow(name: string): BudgetRow | null {
  const [, owner, start, end] = PATTERN.exec(name) ?? [];
  if (owner === undefined) return null;
  const endMs = Number(end);
  return { owner, startMs: Number(start), endMs: endMs === 0 ? Infinity : endMs };
}
