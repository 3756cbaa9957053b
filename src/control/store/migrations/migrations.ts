import { keysMigration } from './0001-keys.ts';
import { usageMigration } from './0002-usage.ts';
import { budgetsMigration } from './0003-budgets.ts';
import type { Migration } from './migration.ts';

/** All of them, in order. */
export const MIGRATIONS: readonly Migration[] = [keysMigration, usageMigration, budgetsMigration];
