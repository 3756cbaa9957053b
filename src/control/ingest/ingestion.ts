import type { Logger } from '../../runtime/logger.ts';
import type { StoreKeeper } from '../store/store-keeper.ts';
import { type IngesterSettings, type IngestionStatus, UsageIngester } from './usage-ingester.ts';

export interface IngestionOptions {
  readonly dataDirectory: string;
  readonly keeper: StoreKeeper;
  /** Of the configuration in force. */
  readonly settings: () => IngesterSettings;
  readonly logger: Logger;
  /** Of each segment. */
  readonly beforeDelete: () => Promise<void>;
}

/** The control plane's ingestion: begins when the store is first open, and goes on with whichever is open later. */
export class Ingestion {
  readonly #ingester: UsageIngester;
  readonly #forget: () => void;
  #isStarted = false;

  constructor({ dataDirectory, keeper, settings, logger, beforeDelete }: IngestionOptions) {
    this.#ingester = new UsageIngester({
      dataDirectory,
      usage: () => keeper.require().usage,
      settings,
      logger,
      beforeDelete,
    });
    this.#forget = keeper.onOpen(() => {
      if (this.#isStarted) this.#ingester.wake();
      else this.#ingester.start();
      this.#isStarted = true;
    });
  }

  get status(): IngestionStatus {
    return this.#ingester.status();
  }

  /** Resolves when the transaction under way is over. */
  async stop(): Promise<void> {
    this.#forget();
    await this.#ingester.stop();
  }
}
