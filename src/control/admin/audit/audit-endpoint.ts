import { endpoint } from '../endpoint.ts';
import {
  AUDIT_SORT_COLUMNS,
  AUDIT_TABLES,
  type AuditTableName,
  listAuditQuery,
  listAuditReply,
} from '../schemas/audit-schemas.ts';
import type { ChangeKind } from '../../store/tables/log-tables.ts';

const TABLE_NAMES = Object.fromEntries(Object.entries(AUDIT_TABLES).map(([table, kind]) => [kind, table])) as Readonly<
  Record<ChangeKind, AuditTableName>
>;

export const auditEndpoint = endpoint({
  method: 'GET',
  paths: ['/audit'],
  tag: 'audit',
  access: 'admin',
  summary: 'Every change made through this API: who, when, and the columns before and after.',
  query: listAuditQuery,
  reply: listAuditReply,
  handle: async ({ query }, services) => {
    const { page, page_size: size } = query;
    const { rows, total } = await services.store().audit.list(
      {
        changedBy: query.changed_by ?? null,
        action: query.action ?? null,
        kind: query.table_name === undefined ? null : AUDIT_TABLES[query.table_name],
        objectId: query.object_id ?? null,
        fromMs: query.start_date === undefined ? null : Date.parse(query.start_date),
        untilMs: query.end_date === undefined ? null : Date.parse(query.end_date),
      },
      { page, size, sortBy: AUDIT_SORT_COLUMNS[query.sort_by], descending: query.sort_order === 'desc' },
    );
    return {
      audit_logs: rows.map((row) => ({
        id: String(row.id),
        updated_at: new Date(row.at_ms).toISOString(),
        changed_by: row.changed_by,
        action: row.action,
        table_name: TABLE_NAMES[row.kind],
        object_id: row.object_id,
        before_value: row.before,
        updated_values: row.after,
      })),
      total,
      page,
      page_size: size,
      total_pages: Math.ceil(total / size),
    };
  },
});
