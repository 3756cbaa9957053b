import { type Kysely, sql } from 'kysely';
import type { Database } from '../database.ts';
import { POSTGRES_SCHEMA, type StoreEngine } from '../store-engine.ts';
import { StoreError } from '../store-error.ts';
import { columnTypes, type Migration } from './migration.ts';

/** Of pg_advisory_xact_lock; any number of ours. */
const MIGRATION_LOCK = 5_316_201;

export interface MigrationRun {
  readonly from: number;
  readonly to: number;
}

/**
 * Brings the schema to the newest version, all steps in one transaction, while no other gateway does.
 *
 * @throws {StoreError} `newer-schema` if a later version of the program was here.
 */
export async function migrate(
  db: Kysely<Database>,
  engine: StoreEngine,
  migrations: readonly Migration[],
  nowMs: number,
): Promise<MigrationRun> {
  return db.transaction().execute(async (trx) => {
    if (engine === 'postgres') await preparePostgres(trx);
    await trx.schema
      .createTable('schema_versions')
      .ifNotExists()
      .addColumn('number', 'integer', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('applied_at_ms', 'bigint', (column) => column.notNull())
      .execute();
    const found = await trx.selectFrom('schema_versions').select('number').orderBy('number', 'desc').executeTakeFirst();
    const from = found?.number ?? 0;
    const to = migrations.length;
    if (from > to) {
      throw new StoreError(
        'newer-schema',
        `the database has version ${from} of the tables, this program knows ${to}: a newer version of it has been here. ` +
          'Run that one, or restore a backup made before the upgrade.',
      );
    }
    for (const { number, name, up } of migrations.slice(from)) {
      await up(trx, columnTypes(engine));
      await trx.insertInto('schema_versions').values({ number, name, applied_at_ms: nowMs }).execute();
    }
    return { from, to };
  });
}

async function preparePostgres(trx: Kysely<Database>): Promise<void> {
  await sql`select pg_advisory_xact_lock(${sql.lit(MIGRATION_LOCK)})`.execute(trx);
  // Asked first: CREATE SCHEMA IF NOT EXISTS needs the right to make one also where there is nothing to make.
  const found = await sql`select 1 from pg_catalog.pg_namespace where nspname = ${POSTGRES_SCHEMA}`.execute(trx);
  if (found.rows.length === 0) await trx.schema.createSchema(POSTGRES_SCHEMA).execute();
}
