import { isDeepStrictEqual } from 'node:util';
import type { KeyChangesMessage } from '../../contract/control-messages.ts';
import type { KeyRecord } from '../../contract/key-record.ts';

export type KeyChange = KeyChangesMessage['changes'][number];

/** What sidecars have been told: the keys of their directory and of the changes since. */
export class KeyTable {
  #records: Map<string, KeyRecord>;
  /** Since the directory was written. null: told to be gone. */
  readonly #changes: Map<string, KeyRecord | null>;
  #holdsAll: boolean;

  constructor(records: Map<string, KeyRecord>, changes: Iterable<KeyChange>, holdsAll: boolean) {
    this.#records = records;
    this.#changes = new Map();
    this.#holdsAll = holdsAll;
    for (const { hash, record } of changes) this.#set(hash, record);
  }

  get records(): ReadonlyMap<string, KeyRecord> {
    return this.#records;
  }

  /** Since the directory was written; one of each key, the last. */
  get changes(): readonly KeyChange[] {
    return Array.from(this.#changes, ([hash, record]) => ({ hash, record }));
  }

  get changeCount(): number {
    return this.#changes.size;
  }

  /** Every key there is, is here. */
  get holdsAll(): boolean {
    return this.#holdsAll;
  }

  /** Sidecars have it, or know that it is gone. Of any other they know no more than what they asked for. */
  isResident(hash: string): boolean {
    return this.#records.has(hash) || this.#changes.has(hash);
  }

  /**
   * Takes what keys are now. @returns what sidecars have to be told. If there is no room for a new key, it is one of
   * those that are asked for, from then on `holdsAll` is false, and the directory is to be told again.
   */
  take(found: Iterable<readonly [hash: string, record: KeyRecord | null]>, maxResident: number): KeyChange[] {
    const told: KeyChange[] = [];
    for (const [hash, record] of found) {
      const before = this.#records.get(hash);
      if (!this.isResident(hash)) {
        if (record !== null && this.#holdsAll && this.#records.size < maxResident) {
          this.#set(hash, record);
          told.push({ hash, record });
          continue;
        }
        if (record !== null) this.#holdsAll = false;
        // Whatever was answered or denied when it was asked for counts no more.
        if (record !== null || !this.#holdsAll) told.push({ hash, record: null });
      } else if (record === null ? before !== undefined : !isDeepStrictEqual(before, record)) {
        this.#set(hash, record);
        told.push({ hash, record });
      }
    }
    return told;
  }

  /** Keys of the file: there is always room for them. @returns what sidecars have to be told. */
  takeDeclared(found: Iterable<readonly [hash: string, record: KeyRecord | null]>): KeyChange[] {
    const told: KeyChange[] = [];
    for (const [hash, record] of found) {
      const before = this.#records.get(hash) ?? null;
      if (isDeepStrictEqual(before, record)) continue;
      this.#set(hash, record);
      told.push({ hash, record });
    }
    return told;
  }

  /** Replaces everything. @returns what differs from what sidecars have been told. */
  replace(records: Map<string, KeyRecord>, holdsAll: boolean): KeyChange[] {
    const told: KeyChange[] = [];
    for (const [hash, record] of records) {
      if (!isDeepStrictEqual(this.#records.get(hash), record)) told.push({ hash, record });
    }
    for (const hash of this.#records.keys()) if (!records.has(hash)) told.push({ hash, record: null });
    this.#records = records;
    this.#holdsAll = holdsAll;
    for (const { hash, record } of told) this.#changes.set(hash, record);
    return told;
  }

  /** A directory with all of it has been written. */
  wasWritten(): void {
    this.#changes.clear();
  }

  #set(hash: string, record: KeyRecord | null): void {
    if (record === null) this.#records.delete(hash);
    else this.#records.set(hash, record);
    this.#changes.set(hash, record);
  }
}
