import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyChangesMessage } from '../contract/control-messages.ts';
import { decodeKeyChanges, keyChangeLogOf } from '../contract/key-change-log.ts';
import { DATA_FILES, PERSISTED_STATE_FORMAT, type PersistedState } from '../contract/persisted-state.ts';
import type { Logger } from '../runtime/logger.ts';
import { loadOrCreateSealKey, readSealedFile, writeFileAtomically } from '../runtime/sealed-file.ts';

/** The node's UUID: made at first start, part of every journal segment's name. */
export function loadNodeId(dataDirectory: string, makeId: () => string): string {
  const path = join(dataDirectory, DATA_FILES.nodeId);
  try {
    const id = readFileSync(path, 'utf8').trim();
    if (/^[0-9a-f-]{36}$/.test(id)) return id;
  } catch {
    // the first start
  }
  const id = makeId();
  writeFileAtomically(path, Buffer.from(`${id}\n`, 'utf8'));
  return id;
}

/** The last good configuration and keys, or null if there are none that this version reads. */
export function readPersistedState(dataDirectory: string, logger: Logger): PersistedState | null {
  try {
    const sealKey = loadOrCreateSealKey(join(dataDirectory, DATA_FILES.sealKey));
    const plain = readSealedFile(join(dataDirectory, DATA_FILES.state), sealKey);
    if (plain === null) return null;
    const state = JSON.parse(plain.toString('utf8')) as PersistedState;
    return state.format === PERSISTED_STATE_FORMAT ? state : null;
  } catch (error) {
    logger.error('the configuration on disk can not be read', { error: String(error) });
    return null;
  }
}

/** What changed since the key directory was written. */
export function readKeyChanges(directoryPath: string, logger: Logger): KeyChangesMessage[] {
  try {
    return decodeKeyChanges(readFileSync(keyChangeLogOf(directoryPath), 'utf8'));
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (!isMissing) logger.error('the log of changed keys can not be read', { error: String(error) });
    return [];
  }
}

/** The whole file in memory that all threads share. */
export function readSharedFile(path: string): Uint8Array<SharedArrayBuffer> {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    const shared = new Uint8Array(new SharedArrayBuffer(size));
    let at = 0;
    while (at < size) {
      const read = readSync(fd, shared, at, size - at, at);
      if (read === 0) break;
      at += read;
    }
    return shared;
  } finally {
    closeSync(fd);
  }
}
