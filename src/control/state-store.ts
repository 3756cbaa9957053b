import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DATA_FILES, PERSISTED_STATE_FORMAT, type PersistedState } from '../contract/persisted-state.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import { loadOrCreateSealKey, readSealedFile, SealError, writeSealedFile } from '../runtime/sealed-file.ts';
import { KeyFiles, type SavedKeys } from './keys/key-files.ts';

/** What a killed control plane may have left of files that only it writes. */
const LEFT_OVER = /^(?:keys-\d+-[0-9a-f]{16}\.dir|state\.sealed)\..*\.tmp$/;

/** The control plane's part of the data directory: the sealed state, and the keys that it names. */
export class StateStore {
  /** What is written there stands in the state at once. */
  readonly keys: KeyFiles;
  readonly #path: string;
  readonly #sealKey: Buffer;
  #snapshot: Snapshot | null;
  #keys: SavedKeys | null;
  /** Why the state of an earlier run could not be used; null if it could, or there was none. */
  readonly fault: string | null;

  constructor(dataDirectory: string) {
    this.#path = join(dataDirectory, DATA_FILES.state);
    this.#sealKey = loadOrCreateSealKey(join(dataDirectory, DATA_FILES.sealKey));
    for (const name of readdirSync(dataDirectory))
      if (LEFT_OVER.test(name)) rmSync(join(dataDirectory, name), { force: true });
    let state: PersistedState | null = null;
    let fault: string | null = null;
    try {
      state = this.#load();
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      fault = error.message;
    }
    this.fault = fault;
    this.#snapshot = state?.snapshot ?? null;
    this.#keys = state;
    this.keys = new KeyFiles(dataDirectory, state, (keys) => {
      this.#keys = keys;
      this.#write();
    });
  }

  /** Safe against a kill at any point. @returns the one in force: that of before, if nothing has changed. */
  saveSnapshot(snapshot: Snapshot): Snapshot {
    if (this.#snapshot?.version === snapshot.version) return this.#snapshot;
    this.#snapshot = snapshot;
    this.#write();
    return snapshot;
  }

  /** Not before there is all of it. */
  #write(): void {
    if (this.#snapshot === null || this.#keys === null) return;
    const { keyDirectory, declaredKeys } = this.#keys;
    const state: PersistedState = {
      format: PERSISTED_STATE_FORMAT,
      snapshot: this.#snapshot,
      keyDirectory,
      declaredKeys,
    };
    writeSealedFile(this.#path, Buffer.from(JSON.stringify(state)), this.#sealKey);
  }

  #load(): PersistedState | null {
    const bytes = readSealedFile(this.#path, this.#sealKey);
    if (bytes === null) return null;
    const state = JSON.parse(bytes.toString('utf8')) as PersistedState;
    return state.format === PERSISTED_STATE_FORMAT ? state : null;
  }
}
