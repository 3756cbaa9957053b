import { closeSync, openSync } from 'node:fs';
import { Kysely } from 'kysely';
import { usageBackendOver } from '../../ingest/usage-calls.ts';
import type { Database } from '../database.ts';
import type { StoreBackend } from '../store.ts';
import { StoreError } from '../store-error.ts';
import { SqliteConnection } from './sqlite-connection.ts';
import { SqliteThreadDialect } from './sqlite-dialect.ts';
import { WriteLock } from './write-lock.ts';

/** Made, readable for its owner only, if it is not there. */
export async function openSqlite(path: string): Promise<StoreBackend> {
  try {
    // SQLite gives the files beside it (-wal, -shm) the mode of this one.
    closeSync(openSync(path, 'a', 0o600));
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown';
    throw new StoreError('unavailable', `the database cannot be opened: ${reason}`, { cause: error });
  }
  const lock = new WriteLock();
  const writer = new SqliteConnection(path, 'writer');
  try {
    await writer.run('select 1'); // the file is in WAL mode before anyone reads it
  } catch (error) {
    await writer.close();
    throw error;
  }
  const reader = new SqliteConnection(path, 'reader');
  const db = new Kysely<Database>({ dialect: new SqliteThreadDialect({ writer, reader, lock }) });
  return {
    engine: 'sqlite',
    db,
    lost: Promise.race([writer.lost, reader.lost]),
    usage: usageBackendOver(async (call) => {
      await lock.acquire();
      try {
        return await writer.usage(call);
      } finally {
        lock.release();
      }
    }),
    close: async () => {
      await reader.close();
      await writer.close();
      await db.destroy();
    },
  };
}
