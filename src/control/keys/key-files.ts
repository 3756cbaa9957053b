import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyChangesMessage } from '../../contract/control-messages.ts';
import { decodeKeyChanges, encodeKeyChanges, keyChangeLogOf } from '../../contract/key-change-log.ts';
import { buildKeyDirectory, KeyDirectory, KeyDirectoryError } from '../../contract/key-directory.ts';
import type { KeyRecord } from '../../contract/key-record.ts';
import type { PersistedState } from '../../contract/persisted-state.ts';
import { writeFileAtomically } from '../../runtime/sealed-file.ts';
import type { KeyChange } from './key-table.ts';

/** `keys-<sequence>-<hash of the content>.dir`, and the log of changes beside it. */
const DIRECTORY_FILE = /^keys-(\d+)-([0-9a-f]{16})\.(?:dir|log)$/;

export type SavedKeys = Pick<PersistedState, 'keyDirectory' | 'declaredKeys'>;

export interface LoadedKeys {
  /** Of the directory. */
  readonly records: Map<string, KeyRecord>;
  /** Since then, in their order. */
  readonly changes: readonly KeyChange[];
  /** Of the last change. */
  readonly sequence: number;
  /** Hashes of those that were of the file. */
  readonly declared: readonly string[];
}

/** The keys on disk: a directory, which is named by the state, and the log of what changed since it was written. */
export class KeyFiles {
  readonly #dataDirectory: string;
  readonly #save: (keys: SavedKeys) => void;
  #saved: SavedKeys | null;

  constructor(dataDirectory: string, saved: SavedKeys | null, save: (keys: SavedKeys) => void) {
    this.#dataDirectory = dataDirectory;
    this.#saved = saved;
    this.#save = save;
  }

  /** What an earlier run left; null if there is nothing that can be used. */
  load(): LoadedKeys | null {
    const saved = this.#saved;
    const path = saved === null ? null : this.#pathOf(saved.keyDirectory.fileName);
    if (saved === null || path === null || !existsSync(path)) return null;
    try {
      const records = new Map(new KeyDirectory(readFileSync(path)).entries());
      const log = existsSync(keyChangeLogOf(path)) ? decodeKeyChanges(readFileSync(keyChangeLogOf(path), 'utf8')) : [];
      return {
        records,
        changes: log.flatMap(({ changes }) => changes),
        sequence: log.at(-1)?.toSequence ?? saved.keyDirectory.sequence,
        declared: saved.declaredKeys,
      };
    } catch (error) {
      // A file cut short by a loss of power: the keys are written anew.
      if (error instanceof KeyDirectoryError || error instanceof SyntaxError) return null;
      throw error;
    }
  }

  /** There must be one: loaded or written. */
  get directory(): { readonly path: string; readonly sequence: number; readonly complete: boolean } {
    const { fileName, sequence, complete } = this.#saved!.keyDirectory;
    return { path: this.#pathOf(fileName), sequence, complete };
  }

  /** A new directory. @returns the sequence it stands for: one more than `sequence`. */
  write(records: ReadonlyMap<string, KeyRecord>, sequence: number, complete: boolean): number {
    const own: KeyRecord[] = [];
    const retired: { readonly hash: string; readonly record: KeyRecord }[] = [];
    for (const [hash, record] of records) {
      if (record.hash === hash) own.push(record);
      else retired.push({ hash, record });
    }
    const bytes = buildKeyDirectory(own, retired);
    const content = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
    const fileName = `keys-${sequence + 1}-${content}.dir`;
    writeFileAtomically(this.#pathOf(fileName), bytes);
    rmSync(this.#pathOf(keyChangeLogOf(fileName)), { force: true });
    const before = this.#saved?.keyDirectory.fileName;
    this.#update({ keyDirectory: { fileName, sequence: sequence + 1, complete } });
    this.#removeOld([fileName, before ?? fileName]);
    return sequence + 1;
  }

  /** The directory is the same, but whether it has every key is not. */
  setComplete(complete: boolean): void {
    const { keyDirectory } = this.#saved!;
    if (keyDirectory.complete !== complete) this.#update({ keyDirectory: { ...keyDirectory, complete } });
  }

  setDeclared(hashes: readonly string[]): void {
    if (String(this.#saved?.declaredKeys ?? []) !== String(hashes)) this.#update({ declaredKeys: hashes });
  }

  /** Before it is sent. In the kernel's hands when this returns: a kill loses nothing. */
  append(message: KeyChangesMessage): void {
    const path = this.#pathOf(keyChangeLogOf(this.#saved!.keyDirectory.fileName));
    appendFileSync(path, encodeKeyChanges(message), { mode: 0o600 });
  }

  #update(change: Partial<SavedKeys>): void {
    const keyDirectory = change.keyDirectory ?? this.#saved?.keyDirectory;
    if (keyDirectory === undefined) return;
    this.#saved = { keyDirectory, declaredKeys: change.declaredKeys ?? this.#saved?.declaredKeys ?? [] };
    this.#save(this.#saved);
  }

  #pathOf(fileName: string): string {
    return join(this.#dataDirectory, fileName);
  }

  /** The last but one stays: a sidecar may be about to read it. */
  #removeOld(kept: readonly string[]): void {
    const names = [...kept, ...kept.map(keyChangeLogOf)];
    for (const name of readdirSync(this.#dataDirectory)) {
      if (DIRECTORY_FILE.test(name) && !names.includes(name)) rmSync(this.#pathOf(name), { force: true });
    }
  }
}
