import { z } from 'zod';
import type { AuditSort } from '../../store/audit-repository.ts';
import { AUDIT_ACTIONS, type ChangeKind } from '../../store/tables/log-tables.ts';
import { jsonObject, moment, pageFields, sortOrder } from './common-fields.ts';

/** LiteLLM's names of its tables, by which its UI and scripts filter. */
export const AUDIT_TABLES = {
  LiteLLM_VerificationToken: 'key',
  LiteLLM_TeamTable: 'team',
  LiteLLM_TeamMembership: 'team_member',
  LiteLLM_UserTable: 'user',
} as const satisfies Readonly<Record<string, ChangeKind>>;

export type AuditTableName = keyof typeof AUDIT_TABLES;
const tableNames = Object.keys(AUDIT_TABLES) as AuditTableName[];

/** What a list can be sorted by, and the column that holds it. */
export const AUDIT_SORT_COLUMNS = {
  updated_at: 'at_ms',
  changed_by: 'changed_by',
  action: 'action',
  table_name: 'kind',
  object_id: 'object_id',
} as const satisfies Readonly<Record<string, AuditSort>>;

export const listAuditQuery = z.object({
  ...pageFields(10),
  changed_by: z.string().optional(),
  action: z.enum(AUDIT_ACTIONS).optional(),
  table_name: z.enum(tableNames).optional(),
  object_id: z.string().optional(),
  start_date: z.iso.datetime({ offset: true }).or(z.iso.date()).optional(),
  end_date: z.iso.datetime({ offset: true }).or(z.iso.date()).optional().describe('Excluded.'),
  sort_by: z.enum(Object.keys(AUDIT_SORT_COLUMNS) as (keyof typeof AUDIT_SORT_COLUMNS)[]).default('updated_at'),
  sort_order: sortOrder(),
});
const auditRow = z.object({
  id: z.string(),
  updated_at: moment(),
  changed_by: z.string().describe('`litellm-changed-by` of the request, else who called: `master key`, or a user.'),
  action: z.enum(AUDIT_ACTIONS),
  table_name: z.enum(tableNames),
  object_id: z.string().describe('Hash of the key, id of the team or user, `<team>/<user>` of a member.'),
  before_value: jsonObject().nullable(),
  updated_values: jsonObject().nullable(),
});

export const listAuditReply = z.object({
  audit_logs: z.array(auditRow),
  total: z.number(),
  page: z.number(),
  page_size: z.number(),
  total_pages: z.number(),
});
