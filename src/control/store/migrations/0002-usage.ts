import { type ColumnBuilderCallback, type CreateTableBuilder, type Kysely, sql } from 'kysely';
import { SUM_COLUMNS } from '../../ingest/usage-deltas.ts';
import { USAGE_COLUMN_NAMES, USAGE_COLUMNS } from '../../ingest/usage-row.ts';
import type { Database } from '../database.ts';
import type { ColumnTypes, Migration } from './migration.ts';

/** What was used: events, what they add up to, and how far each segment of the journal has been read. */
export const usageMigration: Migration = {
  number: 2,
  name: 'usage',
  up: async (db, types) => {
    await createPositions(db, types);
    await createEvents(db, types);
    await createAggregates(db, types);
  },
};

const required: ColumnBuilderCallback = (column) => column.notNull();

async function createPositions(db: Kysely<Database>, types: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('usage_segments')
    .addColumn('segment', types.name, (column) => column.primaryKey().notNull())
    .addColumn('writer', types.name, required)
    .addColumn('position', 'bigint', required)
    .addColumn('finished_at_ms', 'bigint')
    .execute();
  await db.schema
    .createTable('usage_open')
    .addColumn('id', types.name, (column) => column.primaryKey().notNull())
    .addColumn('writer', types.name, required)
    .addColumn('line', 'text', required)
    .execute();
  await db.schema.createIndex('usage_open_by_writer').on('usage_open').column('writer').execute();
}

async function createEvents(db: Kysely<Database>, types: ColumnTypes): Promise<void> {
  let table = db.schema.createTable('usage_events') as CreateTableBuilder<string, string>;
  for (const name of USAGE_COLUMN_NAMES) {
    const declared = USAGE_COLUMNS[name];
    const isText = declared.startsWith('text');
    table = table.addColumn(
      name,
      isText ? types.name : declared.startsWith('bigint') ? 'bigint' : 'integer',
      (column) => (name === 'id' ? column.primaryKey().notNull() : declared.endsWith('?') ? column : column.notNull()),
    );
  }
  await table.execute();
  await db.schema.createIndex('usage_events_by_time').on('usage_events').column('at_ms').execute();
  await db.schema.createIndex('usage_events_by_key').on('usage_events').columns(['api_key', 'at_ms']).execute();
  await db.schema
    .createIndex('usage_events_by_user')
    .on('usage_events')
    .columns(['user_id', 'at_ms'])
    .where(sql.ref('user_id'), 'is not', null)
    .execute();
}

async function createAggregates(db: Kysely<Database>, types: ColumnTypes): Promise<void> {
  await withSums(
    db.schema
      .createTable('usage_daily')
      .addColumn('kind', types.name, required)
      .addColumn('day', 'bigint', required)
      .addColumn('name', types.name, required),
  )
    .addPrimaryKeyConstraint('usage_daily_pkey', ['kind', 'day', 'name'])
    .modifyEnd(types.aggregate)
    .execute();
  await withSums(
    db.schema
      .createTable('usage_detail')
      .addColumn('day', 'bigint', required)
      .addColumn('api_key', types.name, required)
      .addColumn('user_id', types.name, required)
      .addColumn('team_id', types.name, required)
      .addColumn('model', types.name, required)
      .addColumn('model_group', types.name, required)
      .addColumn('provider', types.name, required),
  )
    .addPrimaryKeyConstraint('usage_detail_pkey', [
      'day',
      'api_key',
      'user_id',
      'team_id',
      'model',
      'model_group',
      'provider',
    ])
    .modifyEnd(types.updated)
    .execute();
  await db.schema.createIndex('usage_detail_by_day').on('usage_detail').column('day').execute();
  await db.schema.createIndex('usage_detail_by_key').on('usage_detail').columns(['api_key', 'day']).execute();
  await db.schema.createIndex('usage_detail_by_user').on('usage_detail').columns(['user_id', 'day']).execute();
  await db.schema
    .createTable('usage_totals')
    .addColumn('kind', types.name, required)
    .addColumn('name', types.name, required)
    .addColumn('requests', 'bigint', required)
    .addColumn('tokens', 'bigint', required)
    .addColumn('spend_nano', 'bigint', required)
    .addColumn('last_at_ms', 'bigint', required)
    .addPrimaryKeyConstraint('usage_totals_pkey', ['kind', 'name'])
    .modifyEnd(types.aggregate)
    .execute();
}

function withSums<T extends string>(table: CreateTableBuilder<T, string>): CreateTableBuilder<T, string> {
  let widened = table;
  for (const name of SUM_COLUMNS) widened = widened.addColumn(name, 'bigint', required);
  return widened;
}
