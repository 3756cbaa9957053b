import { Kysely, PostgresDialect } from 'kysely';
import { PostgresUsageConnection } from '../../ingest/postgres-usage-connection.ts';
import type { Database } from '../database.ts';
import type { StoreBackend } from '../store.ts';
import { POSTGRES_SCHEMA } from '../store-engine.ts';
import { type PostgresPoolOptions, StorePostgresPool } from './postgres-pool.ts';

/** Connects when it is first used. */
export function openPostgres(options: PostgresPoolOptions): StoreBackend {
  const root = new Kysely<Database>({ dialect: new PostgresDialect({ pool: new StorePostgresPool(options) }) });
  const { connectionString, connectTimeoutMs } = options;
  const ingestion = new PostgresUsageConnection({ connectionString, connectTimeoutMs });
  const db = root.withSchema(POSTGRES_SCHEMA);
  return {
    engine: 'postgres',
    db,
    lost: new Promise(() => undefined), // never: the pool connects again by itself
    usage: ingestion.backend,
    close: async () => {
      await ingestion.close();
      await root.destroy();
    },
  };
}
