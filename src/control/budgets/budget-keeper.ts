import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BUDGET_BASE_FORMAT, type BudgetBase } from '../../contract/budget-base.ts';
import { DATA_FILES } from '../../contract/persisted-state.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { ControlServer } from '../control-server.ts';
import type { BudgetState } from '../store/budget-repository.ts';
import type { Store } from '../store/store.ts';
import type { StoreKeeper } from '../store/store-keeper.ts';

const LOOK_MS = 1000;
/** Of the time, at most a twentieth goes into bases: many budgets have theirs written less often. */
const PAUSE_RATIO = 20;
const DELETE_EVERY_MS = 3_600_000;
/** Windows stay for a day after their end. */
const KEEP_ENDED_MS = 86_400_000;

export interface BudgetKeeperOptions {
  readonly dataDirectory: string;
  readonly keeper: StoreKeeper;
  readonly server: ControlServer;
  readonly logger: Logger;
}

/**
 * Tells sidecars what budgets have spent: those that start later by a file in the data directory, those that run what
 * others have spent meanwhile. What a sidecar spent itself it is never told.
 */
export class BudgetKeeper {
  readonly #options: BudgetKeeperOptions;
  readonly #stopping = Promise.withResolvers<void>();
  /** What of others the sidecars know, by row. */
  #told = new Map<string, string>();
  /** The last base. */
  #written: Promise<unknown> = Promise.resolve();
  #version: string | null = null;
  #deleteAtMs = 0;
  #hasFailed = false;
  #isStopped = false;
  #running: Promise<void> | null = null;

  constructor(options: BudgetKeeperOptions) {
    this.#options = options;
  }

  start(): void {
    this.#options.server.greeting = () =>
      this.#told.size === 0 ? null : { type: 'budget-others', rows: Object.fromEntries(this.#told) };
    this.#running ??= this.#run();
  }

  /** The base has all that is in the database now. Resolves without one where the budgets have spent nothing. */
  async save(): Promise<void> {
    const node = this.#nodeId();
    if (node === null) return;
    await this.#writeBase(this.#options.keeper.require(), node);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stopping.resolve();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const startedMs = performance.now();
      const { store } = this.#options.keeper;
      if (store !== null) {
        try {
          await this.#look(store);
          this.#hasFailed = false;
        } catch (error) {
          this.#fail(error);
        }
      }
      await this.#pause(Math.max(LOOK_MS, PAUSE_RATIO * (performance.now() - startedMs)));
    }
  }

  async #look(store: Store): Promise<void> {
    const nowMs = Date.now();
    const node = this.#nodeId();
    if (node === null) return; // no sidecar has ever run here
    const version = await store.budgets.version();
    // Of two writes in one millisecond the second may come after the look: what is young is looked at again.
    const isSettled = Number(version.split(' ')[1] ?? 0) < nowMs - 2 * LOOK_MS;
    if (version !== this.#version || !isSettled) {
      this.#tell(await this.#writeBase(store, node));
      this.#version = isSettled ? version : null;
    }
    if (nowMs < this.#deleteAtMs) return;
    await store.budgets.deleteEnded(nowMs - KEEP_ENDED_MS);
    this.#deleteAtMs = nowMs + DELETE_EVERY_MS;
  }

  /** One after another, reading included: a base must not give way to an older one. */
  #writeBase(store: Store, node: string): Promise<BudgetState> {
    const written = this.#written.then(async () => {
      const state = await store.budgets.state(node, Date.now());
      await this.#write(state);
      return state;
    });
    this.#written = written.catch(() => undefined);
    return written;
  }

  /** Positions of segments that are there: of others nobody asks. */
  async #write({ positions, rows }: BudgetState): Promise<void> {
    const path = join(this.#options.dataDirectory, DATA_FILES.budgets);
    if (rows.size === 0 && !existsSync(path)) return;
    const directory = join(this.#options.dataDirectory, DATA_FILES.journal);
    const segments = existsSync(directory) ? readdirSync(directory) : [];
    const base: BudgetBase = {
      format: BUDGET_BASE_FORMAT,
      positions: Object.fromEntries(segments.map((name) => [name, positions.get(name) ?? 0])),
      rows: Object.fromEntries(
        Array.from(rows, ([name, { ownNano, othersNano }]) => [
          name,
          { own: String(ownNano), others: String(othersNano) },
        ]),
      ),
    };
    const temporary = `${path}.tmp`;
    try {
      const file = await open(temporary, 'w', 0o600);
      try {
        await file.writeFile(JSON.stringify(base));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  #tell({ rows }: BudgetState): void {
    const others = new Map<string, string>();
    const changed: Record<string, string> = {};
    for (const [name, { othersNano }] of rows) {
      const text = String(othersNano);
      const before = this.#told.get(name);
      if (othersNano === 0n && before === undefined) continue;
      others.set(name, text);
      if (text !== before) changed[name] = text;
    }
    this.#told = others;
    if (Object.keys(changed).length === 0) return;
    this.#options.server.send({ type: 'budget-others', rows: changed });
  }

  #nodeId(): string | null {
    const path = join(this.#options.dataDirectory, DATA_FILES.nodeId);
    return existsSync(path) ? readFileSync(path, 'utf8').trim() : null;
  }

  #fail(error: unknown): void {
    if (!this.#hasFailed) {
      this.#options.logger.error('the base of budgets can not be brought up to date; it is tried again', {
        reason: error instanceof Error ? error.message : 'unknown',
      });
    }
    this.#hasFailed = true;
  }

  async #pause(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const slept = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
    await Promise.race([slept, this.#stopping.promise]);
    clearTimeout(timer);
  }
}
