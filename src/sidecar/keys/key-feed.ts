import type { KeyAnswerMessage, KeyChangesMessage, KeyDirectoryMessage } from '../../contract/control-messages.ts';
import { KeyDirectory } from '../../contract/key-directory.ts';
import type { KeyRecord } from '../../contract/key-record.ts';
import type { Logger } from '../../runtime/logger.ts';
import { readSharedFile } from '../sidecar-files.ts';
import type { WorkerHandle } from '../worker/worker-handle.ts';

export interface KeyFeedOptions {
  /** Those to tell; the list changes. */
  readonly workers: readonly WorkerHandle[];
  readonly logger: Logger;
  /** Asks the control plane. @returns false if it is away. */
  readonly ask: (id: number, hash: string) => boolean;
  readonly askForAll: () => void;
  readonly lookupTimeoutMs: () => number;
}

/** What a worker needs to know every key, also one that starts later. */
interface Keys {
  readonly shared: Uint8Array<SharedArrayBuffer>;
  /** Of the last change taken. */
  sequence: number;
  readonly complete: boolean;
  readonly directory: KeyDirectory;
  /** Since the directory was written; by hash, the last one counts. Not of keys that are asked for on demand. */
  readonly changes: Map<string, KeyRecord | null>;
}

/** The keys as the control plane tells them, passed on to all workers; and the workers' questions, each asked once. */
export class KeyFeed {
  readonly #options: KeyFeedOptions;
  readonly #asked = new Map<string, NodeJS.Timeout>();
  #keys: Keys | null = null;
  #lastLookupId = 0;

  constructor(options: KeyFeedOptions) {
    this.#options = options;
  }

  get isLoaded(): boolean {
    return this.#keys !== null;
  }

  takeDirectory(message: KeyDirectoryMessage): void {
    try {
      const { sequence, complete } = message;
      const shared = readSharedFile(message.path);
      this.#keys = { shared, sequence, complete, directory: new KeyDirectory(shared), changes: new Map() };
    } catch (error) {
      this.#options.logger.error('the key directory can not be read; keys stay as they are', { error: String(error) });
      return;
    }
    const { shared, sequence, complete } = this.#keys;
    for (const worker of this.#options.workers) worker.loadKeys(shared, sequence, complete);
  }

  takeChanges(message: KeyChangesMessage): void {
    if (this.#keys === null) return;
    if (message.fromSequence !== this.#keys.sequence) {
      this.#options.askForAll();
      return;
    }
    this.#keys.sequence = message.toSequence;
    for (const { hash, record } of message.changes) {
      if (record !== null || isResident(this.#keys, hash)) this.#keys.changes.set(hash, record);
    }
    for (const worker of this.#options.workers) worker.changeKeys(message);
  }

  takeAnswer(message: KeyAnswerMessage): void {
    clearTimeout(this.#asked.get(message.hash));
    this.#asked.delete(message.hash);
    for (const worker of this.#options.workers) worker.answerKey(message);
  }

  /** All that is known so far, to a worker that has just been made. */
  giveTo(worker: WorkerHandle): void {
    if (this.#keys === null) return;
    const { shared, sequence, complete, changes } = this.#keys;
    worker.loadKeys(shared, sequence, complete);
    worker.changeKeys({
      type: 'key-changes',
      fromSequence: sequence,
      toSequence: sequence,
      changes: Array.from(changes, ([hash, record]) => ({ hash, record })),
    });
  }

  lookUp(hash: string): void {
    if (this.#asked.has(hash)) return;
    this.#lastLookupId += 1;
    if (!this.#options.ask(this.#lastLookupId, hash)) {
      this.#fail(hash);
      return;
    }
    this.#asked.set(
      hash,
      setTimeout(() => {
        this.#fail(hash);
      }, this.#options.lookupTimeoutMs()),
    );
  }

  /** The control plane is away: nobody will answer. */
  failAll(): void {
    for (const [hash, timer] of this.#asked) {
      clearTimeout(timer);
      this.#fail(hash);
    }
  }

  close(): void {
    for (const timer of this.#asked.values()) clearTimeout(timer);
  }

  #fail(hash: string): void {
    this.#asked.delete(hash);
    for (const worker of this.#options.workers) worker.answerKey({ hash, record: null, failed: true });
  }
}

/** A key whose end has to be remembered: whatever else is forgotten is asked for again. */
function isResident({ complete, directory, changes }: Keys, hash: string): boolean {
  return complete || changes.has(hash) || directory.findOffset(Buffer.from(hash, 'hex')) >= 0;
}
