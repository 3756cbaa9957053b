import type { PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely';
import pg from 'pg';
import { decodeInteger, encodeParameter } from '../value-codec.ts';
import { isConnectionFault, toStoreError } from './postgres-errors.ts';
import { setUpSession } from './session-settings.ts';

/** Of a server that has vanished without a word the sockets tell nothing for a long time. */
const QUERY_TIMEOUT_MS = 120_000;
const KEEP_ALIVE_AFTER_MS = 10_000;
/** Not a number that JavaScript holds exactly: INT8, and NUMERIC, which sums of INT8 are. */
const WIDE_TYPES: readonly number[] = [20, 1700];

export interface PostgresPoolOptions {
  readonly connectionString: string;
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
}

/** The pool that Kysely's driver uses: values and errors as the store has them. */
export class StorePostgresPool implements PostgresPool {
  readonly options: object = {};
  readonly #pool: pg.Pool;
  readonly #known = new WeakSet<pg.PoolClient>();

  constructor({ connectionString, maxConnections, connectTimeoutMs }: PostgresPoolOptions) {
    this.#pool = new pg.Pool({
      connectionString,
      max: maxConnections,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
      application_name: 'slipstream',
      types: { getTypeParser: typeParser },
    });
    // Of connections that nobody uses: the pool opens others when it needs them.
    this.#pool.on('error', () => undefined);
  }

  async connect(): Promise<PostgresPoolClient> {
    let client: pg.PoolClient | null = null;
    try {
      client = await this.#pool.connect();
      if (!this.#known.has(client)) await setUpSession(client);
      this.#known.add(client);
      return new StorePostgresClient(client);
    } catch (error) {
      client?.release(true);
      throw toStoreError(error);
    }
  }

  async end(): Promise<void> {
    await this.#pool.end();
  }
}

class StorePostgresClient implements PostgresPoolClient {
  readonly #client: pg.PoolClient;
  #isBroken = false;

  constructor(client: pg.PoolClient) {
    this.#client = client;
    // One that breaks while it is out is told by its queries; without a listener the event would end the process.
    client.on('error', this.#onError);
  }

  query<R>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>;
  query(): never;
  async query<R>(sql = '', parameters: readonly unknown[] = []): Promise<PostgresQueryResult<R>> {
    try {
      const { command, rowCount, rows, fields } = await this.#client.query<Record<string, unknown>>(
        sql,
        parameters.map(encodeParameter),
      );
      const wide = fields.filter((field) => WIDE_TYPES.includes(field.dataTypeID)).map((field) => field.name);
      for (const row of rows) {
        for (const name of wide) if (typeof row[name] === 'string') row[name] = decodeInteger(name, row[name]);
      }
      return { command: command as PostgresQueryResult<R>['command'], rowCount: rowCount ?? 0, rows: rows as R[] };
    } catch (error) {
      if (isConnectionFault(error)) this.#isBroken = true;
      throw toStoreError(error);
    }
  }

  release(destroy = false): void {
    this.#client.off('error', this.#onError);
    this.#client.release(destroy || this.#isBroken);
  }

  readonly #onError = (): void => {
    this.#isBroken = true;
  };
}

function typeParser(oid: number, format?: string): (value: string) => unknown {
  if (WIDE_TYPES.includes(oid)) return (value) => value;
  return pg.types.getTypeParser(oid, format as 'text');
}
