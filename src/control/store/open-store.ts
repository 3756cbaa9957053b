import { join } from 'node:path';
import { DATA_FILES } from '../../contract/persisted-state.ts';
import type { Migration } from './migrations/migration.ts';
import { migrate } from './migrations/migrate.ts';
import { MIGRATIONS } from './migrations/migrations.ts';
import { toConnectionString } from './postgres/connection-string.ts';
import { Store, type StoreBackend } from './store.ts';
import { StoreError } from './store-error.ts';

export interface StoreOptions {
  /** Holds SQLite's file, where there is no `databaseUrl`. */
  readonly dataDirectory: string;
  /** `postgresql://…`; null = SQLite. */
  readonly databaseUrl: string | null;
  /** Most connections to PostgreSQL. Default 10. */
  readonly maxConnections?: number;
  /** For a connection to PostgreSQL. Default 10 s. */
  readonly connectTimeoutMs?: number;
  /** For tests. */
  readonly migrations?: readonly Migration[];
}

/**
 * Opens the database, makes it if it is not there, and brings its tables to this version.
 *
 * @throws {StoreError} `unavailable`, or `newer-schema`.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const migrations = options.migrations ?? MIGRATIONS;
  const backend =
    options.databaseUrl === null ? await openFile(options) : await openServer(options, options.databaseUrl);
  try {
    await migrate(backend.db, backend.engine, migrations, Date.now());
    return new Store(backend);
  } catch (error) {
    await backend.close();
    throw error;
  }
}

// The modules of an engine are loaded where it is used only: `pg` alone is 5 MB.

async function openFile({ dataDirectory }: StoreOptions): Promise<StoreBackend> {
  const { openSqlite } = await import('./sqlite/open-sqlite.ts');
  return openSqlite(join(dataDirectory, DATA_FILES.store));
}

async function openServer(options: StoreOptions, databaseUrl: string): Promise<StoreBackend> {
  const connectionString = toConnectionString(databaseUrl);
  if (connectionString === null) {
    throw new StoreError('failed', 'database_url is not of the form postgresql://user:password@host:port/database');
  }
  const { openPostgres } = await import('./postgres/open-postgres.ts');
  return openPostgres({
    connectionString,
    maxConnections: options.maxConnections ?? 10,
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
  });
}
