import type { Kysely } from 'kysely';
import type { UsageBackend } from '../ingest/usage-backend.ts';
import { SpendQueries } from '../spend/spend-queries.ts';
import { AuditRepository } from './audit-repository.ts';
import { BudgetRepository } from './budget-repository.ts';
import { ChangeLog } from './change-log.ts';
import type { Database } from './database.ts';
import { KeyRepository } from './key-repository.ts';
import type { StoreEngine } from './store-engine.ts';
import type { StoreError } from './store-error.ts';
import { TeamRepository } from './team-repository.ts';
import { UserRepository } from './user-repository.ts';

/** What an engine does besides running Kysely's queries. */
export interface StoreBackend {
  readonly engine: StoreEngine;
  readonly db: Kysely<Database>;
  /** Resolves when it can't be used any more and has to be opened again. */
  readonly lost: Promise<StoreError>;
  /** Of ingestion. */
  readonly usage: UsageBackend;
  close(): Promise<void>;
}

/** The open database. Everything rejects with `StoreError`, and only with that. */
export class Store {
  readonly engine: StoreEngine;
  /**
   * For queries that no repository has. In PostgreSQL its tables are those of the schema `slipstream`.
   *
   * Within `db.transaction()` use the transaction only: a write through `db` would wait for it, and it for the write.
   */
  readonly db: Kysely<Database>;
  readonly changes: ChangeLog;
  readonly keys: KeyRepository;
  readonly teams: TeamRepository;
  readonly users: UserRepository;
  readonly audit: AuditRepository;
  /** Where the journal goes: `UsageIngester` is who calls it. */
  readonly usage: UsageBackend;
  readonly spend: SpendQueries;
  readonly budgets: BudgetRepository;
  readonly #backend: StoreBackend;

  constructor(backend: StoreBackend) {
    this.#backend = backend;
    this.engine = backend.engine;
    this.db = backend.db;
    this.changes = new ChangeLog(backend.db, backend.engine);
    this.keys = new KeyRepository(backend.db, this.changes);
    this.teams = new TeamRepository(backend.db, this.changes);
    this.users = new UserRepository(backend.db, this.changes);
    this.usage = backend.usage;
    this.budgets = new BudgetRepository(backend.db);
    this.spend = new SpendQueries(backend.db, backend.engine);
    this.audit = new AuditRepository(backend.db);
  }

  /** Resolves when it can't be used any more and has to be opened again. */
  get lost(): Promise<StoreError> {
    return this.#backend.lost;
  }

  async close(): Promise<void> {
    await this.#backend.close();
  }
}
