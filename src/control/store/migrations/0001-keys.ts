import { type ColumnBuilderCallback, type CreateTableBuilder, type Kysely, sql } from 'kysely';
import type { Database } from '../database.ts';
import type { ColumnTypes, Migration } from './migration.ts';

/** Keys, their users and teams, and the logs of what changed. */
export const keysMigration: Migration = {
  number: 1,
  name: 'keys',
  up: async (db, types) => {
    await createOwners(db, types);
    await createKeys(db, types);
    await createLogs(db, types);
  },
};

const required: ColumnBuilderCallback = (column) => column.notNull();

async function createOwners(db: Kysely<Database>, types: ColumnTypes): Promise<void> {
  await withCommonColumns(
    db.schema
      .createTable('users')
      .addColumn('user_id', 'text', (column) => column.primaryKey())
      .addColumn('user_alias', 'text')
      .addColumn('user_email', 'text')
      .addColumn('user_role', 'text')
      .addColumn('sso_user_id', 'text')
      .addColumn('organization_id', 'text'),
    types,
  ).execute();
  await db.schema.createIndex('users_by_email').on('users').column('user_email').execute();
  await withCommonColumns(
    db.schema
      .createTable('teams')
      .addColumn('team_id', 'text', (column) => column.primaryKey())
      .addColumn('team_alias', 'text')
      .addColumn('organization_id', 'text')
      .addColumn('model_aliases', types.json, (column) => column.notNull().defaultTo(sql`'{}'`))
      .addColumn('team_member_budget_nano', 'bigint')
      .addColumn('team_member_rpm_limit', 'bigint')
      .addColumn('team_member_tpm_limit', 'bigint')
      .addColumn('team_member_key_duration', 'text'),
    types,
  ).execute();
  await db.schema
    .createTable('team_members')
    .addColumn('team_id', 'text', (column) => column.notNull().references('teams.team_id').onDelete('cascade'))
    .addColumn('user_id', 'text', required)
    .addColumn('user_email', 'text')
    .addColumn('role', 'text', required)
    .addColumn('spend_nano', 'bigint', (column) => column.notNull().defaultTo(0))
    .addColumn('max_budget_nano', 'bigint')
    .addColumn('budget_duration', 'text')
    .addColumn('budget_reset_at_ms', 'bigint')
    .addColumn('rpm_limit', 'bigint')
    .addColumn('tpm_limit', 'bigint')
    .addColumn('created_at_ms', 'bigint', required)
    .addColumn('updated_at_ms', 'bigint', required)
    .addPrimaryKeyConstraint('team_members_pkey', ['team_id', 'user_id'])
    .execute();
  await db.schema.createIndex('team_members_by_user').on('team_members').column('user_id').execute();
}

async function createKeys(db: Kysely<Database>, types: ColumnTypes): Promise<void> {
  await withCommonColumns(
    db.schema
      .createTable('keys')
      .addColumn('hash', 'text', (column) => column.primaryKey())
      .addColumn('key_name', 'text')
      .addColumn('key_alias', 'text')
      .addColumn('user_id', 'text')
      .addColumn('team_id', 'text')
      .addColumn('organization_id', 'text')
      .addColumn('project_id', 'text')
      .addColumn('agent_id', 'text')
      .addColumn('aliases', types.json, (column) => column.notNull().defaultTo(sql`'{}'`))
      .addColumn('allowed_routes', types.json, (column) => column.notNull().defaultTo(sql`'[]'`))
      .addColumn('budget_limits', types.json, (column) => column.notNull().defaultTo(sql`'[]'`))
      .addColumn('temp_budget_increase_nano', 'bigint')
      .addColumn('temp_budget_expiry_ms', 'bigint')
      .addColumn('key_type', 'text')
      .addColumn('expires_at_ms', 'bigint'),
    types,
  ).execute();
  // Keys without an alias are many: in both engines NULLs differ from each other.
  await db.schema.createIndex('keys_by_alias').unique().on('keys').column('key_alias').execute();
  await db.schema.createIndex('keys_by_team').on('keys').columns(['team_id', 'hash']).execute();
  await db.schema.createIndex('keys_by_user').on('keys').columns(['user_id', 'hash']).execute();
  await db.schema.createIndex('keys_by_age').on('keys').columns(['created_at_ms', 'hash']).execute();
  for (const table of ['keys', 'users', 'teams', 'team_members'] as const) {
    await db.schema
      .createIndex(`${table}_by_budget_reset`)
      .on(table)
      .column('budget_reset_at_ms')
      .where(sql.ref('budget_reset_at_ms'), 'is not', null)
      .execute();
  }
  await db.schema
    .createTable('retired_keys')
    .addColumn('hash', 'text', (column) => column.primaryKey())
    .addColumn('successor_hash', 'text', required)
    .addColumn('valid_until_ms', 'bigint', required)
    .execute();
  await db.schema.createIndex('retired_keys_by_successor').on('retired_keys').column('successor_hash').execute();
}

async function createLogs(db: Kysely<Database>, types: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('audit_log')
    .addColumn('id', types.sequence, (column) => types.counted(column.primaryKey()))
    .addColumn('at_ms', 'bigint', required)
    .addColumn('changed_by', 'text', required)
    .addColumn('action', 'text', required)
    .addColumn('kind', 'text', required)
    .addColumn('object_id', 'text', required)
    .addColumn('before', types.json)
    .addColumn('after', types.json)
    .execute();
  await db.schema.createIndex('audit_log_by_object').on('audit_log').columns(['object_id', 'id']).execute();
  await db.schema.createIndex('audit_log_by_time').on('audit_log').column('at_ms').execute();
  await db.schema
    .createTable('changes')
    .addColumn('sequence', types.sequence, (column) => types.counted(column.primaryKey()))
    .addColumn('kind', 'text', required)
    .addColumn('object_id', 'text', required)
    .addColumn('at_ms', 'bigint', required)
    .execute();
}

/** Those of `CommonColumns`. */
function withCommonColumns<T extends string, C extends string>(
  table: CreateTableBuilder<T, C>,
  types: ColumnTypes,
): CreateTableBuilder<T> {
  const list: ColumnBuilderCallback = (column) => column.notNull().defaultTo(sql`'[]'`);
  const map: ColumnBuilderCallback = (column) => column.notNull().defaultTo(sql`'{}'`);
  return (table as CreateTableBuilder<T>)
    .addColumn('models', types.json, list)
    .addColumn('metadata', types.json, map)
    .addColumn('tags', types.json, list)
    .addColumn('blocked', types.boolean, (column) => column.notNull().defaultTo(types.false))
    .addColumn('extra', types.json, map)
    .addColumn('rpm_limit', 'bigint')
    .addColumn('tpm_limit', 'bigint')
    .addColumn('max_parallel_requests', 'bigint')
    .addColumn('model_rpm_limit', types.json, map)
    .addColumn('model_tpm_limit', types.json, map)
    .addColumn('spend_nano', 'bigint', (column) => column.notNull().defaultTo(0))
    .addColumn('max_budget_nano', 'bigint')
    .addColumn('soft_budget_nano', 'bigint')
    .addColumn('budget_duration', 'text')
    .addColumn('budget_reset_at_ms', 'bigint')
    .addColumn('model_max_budget', types.json, map)
    .addColumn('created_at_ms', 'bigint', required)
    .addColumn('updated_at_ms', 'bigint', required)
    .addColumn('created_by', 'text')
    .addColumn('updated_by', 'text');
}
