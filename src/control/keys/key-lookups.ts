import type { KeyRecord } from '../../contract/key-record.ts';
import type { KeyRecords } from './read-key-records.ts';

const HASHES_PER_READ = 1000;

interface Waiting {
  readonly resolve: (record: KeyRecord | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Keys read when they are asked for. What is asked for during one reading is the next: a thousand cold keys are a few
 * queries. A key that changes while it is read is read again, so that no old answer comes after the change.
 */
export class KeyLookups {
  readonly #read: (hashes: readonly string[]) => Promise<KeyRecords>;
  readonly #wanted = new Map<string, Waiting[]>();
  readonly #changed = new Set<string>();
  #isReading = false;

  constructor(read: (hashes: readonly string[]) => Promise<KeyRecords>) {
    this.#read = read;
  }

  find(hash: string): Promise<KeyRecord | null> {
    const { promise, resolve, reject } = Promise.withResolvers<KeyRecord | null>();
    this.#want(hash, [{ resolve, reject }]);
    if (!this.#isReading) void this.#run();
    return promise;
  }

  /** These have changed: what is being read of them is not to be answered. */
  noteChanged(hashes: Iterable<string>): void {
    if (this.#isReading) for (const hash of hashes) this.#changed.add(hash);
  }

  async #run(): Promise<void> {
    this.#isReading = true;
    while (this.#wanted.size > 0) {
      const batch = [...this.#wanted].slice(0, HASHES_PER_READ);
      for (const [hash] of batch) this.#wanted.delete(hash);
      this.#changed.clear();
      try {
        const records = await this.#read(batch.map(([hash]) => hash));
        for (const [hash, waiting] of batch) {
          if (this.#changed.has(hash)) this.#want(hash, waiting);
          else for (const { resolve } of waiting) resolve(records.get(hash) ?? null);
        }
      } catch (error) {
        for (const [, waiting] of batch) for (const { reject } of waiting) reject(error);
      }
    }
    this.#isReading = false;
  }

  #want(hash: string, waiting: readonly Waiting[]): void {
    const others = this.#wanted.get(hash);
    if (others === undefined) this.#wanted.set(hash, [...waiting]);
    else others.push(...waiting);
  }
}
