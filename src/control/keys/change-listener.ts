import type { Client } from 'pg';
import { backOffMs } from '../../domain/routing/back-off.ts';
import type { Logger } from '../../runtime/logger.ts';
import { toConnectionString } from '../store/postgres/connection-string.ts';
import { CHANGES_CHANNEL } from '../store/store-engine.ts';

const BACK_OFF = { initialMs: 200, maxMs: 15_000, floorMs: 100 };
const KEEP_ALIVE_AFTER_MS = 10_000;
const CLOSE_TIMEOUT_MS = 500;

export interface ChangeListenerOptions {
  readonly databaseUrl: string;
  readonly connectTimeoutMs: number;
  readonly logger: Logger;
  /** A change was announced; or the connection is new, and some may have been missed. */
  readonly onAnnounced: () => void;
}

/**
 * Hears of changes that other gateways make, by LISTEN on a connection of its own, made again whenever it is lost. What
 * it misses is found by asking for the sequence: nothing depends on an announcement but the time a change takes.
 */
export class ChangeListener {
  readonly #options: ChangeListenerOptions;
  #client: Client | null = null;
  #failures = 0;
  #retry: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(options: ChangeListenerOptions) {
    this.#options = options;
    void this.#connect();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (this.#client !== null) await ended(this.#client);
  }

  async #connect(): Promise<void> {
    try {
      const { default: pg } = await import('pg');
      const client = new pg.Client({
        connectionString: toConnectionString(this.#options.databaseUrl) ?? '',
        connectionTimeoutMillis: this.#options.connectTimeoutMs,
        keepAlive: true,
        keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
        application_name: 'slipstream changes',
      });
      this.#client = client;
      // Of a connection that breaks; 'end' follows.
      client.on('error', () => undefined);
      client.on('end', () => this.#onEnd(client));
      client.on('notification', () => this.#options.onAnnounced());
      await client.connect();
      await client.query(`listen ${CHANGES_CHANNEL}`);
      if (this.#isClosed) {
        await client.end();
        return;
      }
      this.#failures = 0;
      this.#options.onAnnounced();
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'unknown';
      if (this.#failures === 0 && !this.#isClosed) {
        this.#options.logger.warn('announcements of changes are not heard; they are asked for instead', { reason });
      }
      const client = this.#client;
      this.#client = null;
      if (client !== null) void ended(client);
      this.#again();
    }
  }

  #onEnd(client: Client): void {
    if (this.#client !== client) return;
    this.#client = null;
    this.#again();
  }

  #again(): void {
    if (this.#isClosed) return;
    this.#failures += 1;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#connect(), backOffMs(this.#failures, BACK_OFF, Math.random()));
  }
}

/** pg never says so of a connection that failed before. */
async function ended(client: Client): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise((resolve) => (timer = setTimeout(resolve, CLOSE_TIMEOUT_MS)));
  await Promise.race([client.end().catch(() => undefined), timeout]);
  clearTimeout(timer);
}
