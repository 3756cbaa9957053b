import type { AuditTable, ChangeTable, SchemaVersionTable } from './tables/log-tables.ts';
import type { BudgetSpendTable } from './tables/budget-tables.ts';
import type { KeyTable, RetiredKeyTable } from './tables/key-tables.ts';
import type {
  UsageDailyTable,
  UsageDetailTable,
  UsageEventTable,
  UsageOpenTable,
  UsageSegmentTable,
  UsageTotalTable,
} from './tables/usage-tables.ts';
import type { TeamMemberTable, TeamTable, UserTable } from './tables/owner-tables.ts';

/**
 * Every table of the store, the same on both engines. How values are held:
 *
 * | what | column | TypeScript |
 * |---|---|---|
 * | money | BIGINT nano-dollars, name ends in `_nano` | `bigint` |
 * | times | BIGINT Unix milliseconds, name ends in `_ms` | `number` |
 * | other integers | BIGINT | `number`; one beyond 2^53 is an error, never rounded |
 * | JSON | JSONB, SQLite: TEXT | the parsed value; arrays and objects are written as they are |
 * | yes or no | BOOLEAN, SQLite: 0 and 1 | `boolean` |
 *
 * The drivers convert (`value-codec.ts`): by the ending `_nano`, also of an alias such as `sum(…) as total_nano`, and by
 * the type of the column. Tables of a later migration are added here.
 */
export interface Database {
  readonly keys: KeyTable;
  readonly retired_keys: RetiredKeyTable;
  readonly teams: TeamTable;
  readonly team_members: TeamMemberTable;
  readonly users: UserTable;
  readonly audit_log: AuditTable;
  readonly changes: ChangeTable;
  readonly usage_segments: UsageSegmentTable;
  readonly usage_open: UsageOpenTable;
  readonly usage_events: UsageEventTable;
  readonly usage_daily: UsageDailyTable;
  readonly usage_detail: UsageDetailTable;
  readonly usage_totals: UsageTotalTable;
  readonly budget_spend: BudgetSpendTable;
  readonly schema_versions: SchemaVersionTable;
}
