import type { Pool } from 'pg';
import type { KeyRecord } from '../../contract/key-record.ts';
import type { Logger } from '../../runtime/logger.ts';
import { toConnectionString } from '../store/postgres/connection-string.ts';
import { toStoreError } from '../store/postgres/postgres-errors.ts';
import { foldKey, type OwnerGrant } from './fold-key.ts';
import { keyGrantOfLitellm, type LitellmRow, ownerGrantOfLitellm } from './litellm-grants.ts';

const CONNECTIONS = 2;
const QUERY_TIMEOUT_MS = 10_000;
/** Nobody announces what LiteLLM changes. (Its own proxies keep a key for up to 60 s.) */
const RECHECK_INTERVAL_MS = 5_000;
const HASHES_PER_CHECK = 1000;
/** Answers that are checked; an older one is forgotten, to be looked up again. */
const MAX_ANSWERED = 65_536;

/*
 * `expires` is a timestamp without a zone, meant as UTC. All columns are asked for: older versions do not have each of
 * those that are used.
 */
const KEYS = `
  select *, (extract(epoch from expires at time zone 'UTC') * 1000)::bigint as expires_ms
  from public."LiteLLM_VerificationToken" where token = any($1)`;
const TEAMS = 'select * from public."LiteLLM_TeamTable" where team_id = any($1)';
const TEAM_ALIASES = 'select id, model_aliases from public."LiteLLM_ModelTable" where id = any($1)';
const USERS = 'select * from public."LiteLLM_UserTable" where user_id = any($1)';

export interface LitellmKeysOptions {
  readonly databaseUrl: string;
  readonly connectTimeoutMs: number;
  readonly logger: Logger;
  /** These keys, answered before, are no longer what they were. */
  readonly onChange: (hashes: readonly string[]) => void;
  /** How often answers are compared with the tables. Default 5 s. */
  readonly recheckIntervalMs?: number;
}

/**
 * The keys that LiteLLM keeps in the same database, looked up as they are used. Read only, in transactions that can't
 * write. What was answered is compared with the tables every few seconds.
 */
export class LitellmKeys {
  readonly #options: LitellmKeysOptions;
  /** By hash, the answer as text; the oldest first. */
  readonly #answered = new Map<string, string>();
  readonly #timer: NodeJS.Timeout;
  #pool: Promise<Pool> | null = null;
  #isChecking = false;
  #hasWarned = false;

  constructor(options: LitellmKeysOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#check(), options.recheckIntervalMs ?? RECHECK_INTERVAL_MS);
  }

  /**
   * Those that there are.
   *
   * @throws {StoreError}
   */
  async find(hashes: readonly string[]): Promise<ReadonlyMap<string, KeyRecord>> {
    const found = await this.#read(hashes);
    for (const [hash, record] of found) {
      this.#answered.delete(hash);
      this.#answered.set(hash, JSON.stringify(record));
    }
    const tooMany = [...this.#answered.keys()].slice(0, Math.max(0, this.#answered.size - MAX_ANSWERED));
    for (const hash of tooMany) this.#answered.delete(hash);
    if (tooMany.length > 0) this.#options.onChange(tooMany);
    return found;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await (await this.#pool)?.end();
  }

  async #check(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    try {
      const hashes = [...this.#answered.keys()];
      for (let start = 0; start < hashes.length; start += HASHES_PER_CHECK) {
        const part = hashes.slice(start, start + HASHES_PER_CHECK);
        const before = part.map((hash) => this.#answered.get(hash));
        const now = await this.#read(part);
        const changed = part.filter((hash, index) => {
          const record = now.get(hash);
          return before[index] !== (record === undefined ? undefined : JSON.stringify(record));
        });
        for (const hash of changed) this.#answered.delete(hash);
        if (changed.length > 0) this.#options.onChange(changed);
      }
    } catch {
      // Away: what was answered stays, and it is tried again.
    } finally {
      this.#isChecking = false;
    }
  }

  async #read(hashes: readonly string[]): Promise<ReadonlyMap<string, KeyRecord>> {
    const records = new Map<string, KeyRecord>();
    if (hashes.length === 0) return records;
    const grants = (await this.#query(KEYS, hashes)).map(keyGrantOfLitellm);
    const [teamRows, userRows] = await Promise.all([
      this.#query(TEAMS, named(grants.map(({ teamId }) => teamId))),
      this.#query(USERS, named(grants.map(({ userId }) => userId))),
    ]);
    const modelIds = named(teamRows.map((row) => (typeof row['model_id'] === 'number' ? row['model_id'] : null)));
    const aliases = new Map(
      (await this.#query(TEAM_ALIASES, modelIds)).map((row) => [row['id'], row['model_aliases']]),
    );
    const teams = new Map<string, OwnerGrant>();
    for (const row of teamRows) {
      teams.set(String(row['team_id']), ownerGrantOfLitellm(row, aliases.get(row['model_id'])));
    }
    const users = new Map<string, OwnerGrant>();
    for (const row of userRows) users.set(String(row['user_id']), ownerGrantOfLitellm(row));
    for (const grant of grants) records.set(grant.hash, foldKey(grant, { users, teams }));
    return records;
  }

  async #query(sql: string, ids: readonly unknown[]): Promise<LitellmRow[]> {
    if (ids.length === 0) return [];
    try {
      this.#pool ??= this.#open();
      return (await (await this.#pool).query<Record<string, unknown>>(sql, [ids])).rows;
    } catch (error) {
      if (isMissingTable(error)) {
        if (!this.#hasWarned) this.#options.logger.warn("litellm_database: LiteLLM's tables are not there", { sql });
        this.#hasWarned = true;
        return [];
      }
      throw toStoreError(error);
    }
  }

  async #open(): Promise<Pool> {
    const { default: pg } = await import('pg');
    const pool = new pg.Pool({
      connectionString: toConnectionString(this.#options.databaseUrl) ?? '',
      max: CONNECTIONS,
      connectionTimeoutMillis: this.#options.connectTimeoutMs,
      query_timeout: QUERY_TIMEOUT_MS,
      application_name: 'slipstream litellm',
    });
    // Of connections that nobody uses.
    pool.on('error', () => undefined);
    // The first thing on each: nothing can be written through it. One that fails fails its query.
    pool.on('connect', (client) => {
      client.query('set session characteristics as transaction read only').catch(() => undefined);
    });
    return pool;
  }
}

function named<T>(ids: readonly (T | null)[]): T[] {
  return [...new Set(ids.filter((id) => id !== null))];
}

function isMissingTable(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === '42P01';
}
