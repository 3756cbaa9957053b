import { createHash } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { invariant } from '../base/invariant.ts';
import { buildKeyDirectory } from '../contract/key-directory.ts';
import type { KeyRecord, RetiredKey } from '../contract/key-record.ts';
import { DATA_FILES, PERSISTED_STATE_FORMAT, type PersistedState } from '../contract/persisted-state.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import {
  loadOrCreateSealKey,
  readSealedFile,
  SealError,
  writeFileAtomically,
  writeSealedFile,
} from '../runtime/sealed-file.ts';

/** `keys-<sequence>-<hash of the content>.dir` */
const DIRECTORY_FILE = /^keys-(\d+)-([0-9a-f]{16})\.dir$/;
/** What a killed control plane may have left of files that only it writes. */
const LEFT_OVER = /^(?:keys-\d+-[0-9a-f]{16}\.dir|state\.sealed)\..*\.tmp$/;

export interface KeysToSave {
  readonly records: readonly KeyRecord[];
  readonly retired: readonly RetiredKey[];
  /** There are no others: a key that is not among them is unknown. */
  readonly isComplete: boolean;
}

export interface SavedState {
  readonly state: PersistedState;
  readonly keysChanged: boolean;
  readonly snapshotChanged: boolean;
}

/** The control plane's part of the data directory: the sealed state, and the key directory it names. */
export class StateStore {
  readonly #directory: string;
  readonly #sealKey: Buffer;
  #state: PersistedState | null;
  /** Why the state of an earlier run could not be used; null if it could, or there was none. */
  readonly fault: string | null;

  constructor(dataDirectory: string) {
    this.#directory = dataDirectory;
    this.#sealKey = loadOrCreateSealKey(join(dataDirectory, DATA_FILES.sealKey));
    for (const name of readdirSync(dataDirectory))
      if (LEFT_OVER.test(name)) rmSync(join(dataDirectory, name), { force: true });
    let fault: string | null = null;
    try {
      this.#state = this.#load();
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      this.#state = null;
      fault = error.message;
    }
    this.fault = fault;
  }

  pathOf(fileName: string): string {
    return join(this.#directory, fileName);
  }

  /** All keys, as an earlier run knew them, are at hand: to be told until those of the store have been read. */
  get hasAllKeys(): boolean {
    const directory = this.#state?.keyDirectory;
    return directory?.complete === true && existsSync(this.pathOf(directory.fileName));
  }

  /**
   * Writes what changed: first the keys, then the state that names them. Safe against a kill at any point.
   *
   * @param keys null: those of before stay. There must be some.
   */
  save(snapshot: Snapshot, keys: KeysToSave | null): SavedState {
    const before = this.#state;
    invariant(keys !== null || before !== null, 'keys stay as they are only where there are some');
    const keyDirectory = keys === null ? before!.keyDirectory : this.#saveKeys(keys);
    const keysChanged = keyDirectory !== before?.keyDirectory;
    const snapshotChanged = snapshot.version !== before?.snapshot.version;
    if (keysChanged || snapshotChanged) {
      const kept = before === null || snapshotChanged ? snapshot : before.snapshot;
      this.#state = { format: PERSISTED_STATE_FORMAT, snapshot: kept, keyDirectory };
      writeSealedFile(this.pathOf(DATA_FILES.state), Buffer.from(JSON.stringify(this.#state)), this.#sealKey);
      this.#removeOldDirectories([keyDirectory.fileName, before?.keyDirectory.fileName]);
    }
    return { state: this.#state as PersistedState, keysChanged, snapshotChanged };
  }

  #saveKeys({ records, retired, isComplete }: KeysToSave): PersistedState['keyDirectory'] {
    const bytes = buildKeyDirectory(records, retired);
    const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
    const before = this.#state?.keyDirectory;
    const isSame = before !== undefined && DIRECTORY_FILE.exec(before.fileName)?.[2] === hash;
    if (isSame && before.complete === isComplete && existsSync(this.pathOf(before.fileName))) return before;
    const sequence = (before?.sequence ?? 0) + 1;
    const fileName = `keys-${sequence}-${hash}.dir`;
    writeFileAtomically(this.pathOf(fileName), bytes);
    return { fileName, sequence, complete: isComplete };
  }

  /** The last but one stays: a sidecar may be about to read it. */
  #removeOldDirectories(kept: readonly (string | undefined)[]): void {
    for (const name of readdirSync(this.#directory)) {
      if (DIRECTORY_FILE.test(name) && !kept.includes(name)) rmSync(this.pathOf(name), { force: true });
    }
  }

  #load(): PersistedState | null {
    const bytes = readSealedFile(this.pathOf(DATA_FILES.state), this.#sealKey);
    if (bytes === null) return null;
    const state = JSON.parse(bytes.toString('utf8')) as PersistedState;
    return state.format === PERSISTED_STATE_FORMAT ? state : null;
  }
}
