import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { basename, dirname } from 'node:path';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MAGIC = Buffer.from('SLSEAL1\n', 'latin1');

/** The file was not sealed with this key under this name, or was changed since. */
export class SealError extends Error {
  override readonly name = 'SealError';
}

/**
 * The seal key at `path`, made at first use: 32 random bytes, readable by the owner only. Two processes that start at
 * once get the same key.
 *
 * @throws {SealError} when the file there is no seal key.
 */
export function loadOrCreateSealKey(path: string): Buffer {
  return readSealKey(path) ?? createSealKey(path);
}

function readSealKey(path: string): Buffer | null {
  const key = readIfPresent(path);
  if (key !== null && key.length !== KEY_BYTES) throw new SealError(`${path} is no seal key`);
  return key;
}

function createSealKey(path: string): Buffer {
  const temporary = writeTemporary(path, randomBytes(KEY_BYTES));
  try {
    linkSync(temporary, path); // unlike rename, it never replaces a key that another process has just put there
    syncDirectory(dirname(path));
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  } finally {
    unlinkSync(temporary);
  }
  const key = readSealKey(path);
  if (key === null) throw new SealError(`${path} vanished`);
  return key;
}

/** Replaces the file at `path` in one step, mode 0600: a reader, or a crash, finds the old bytes or the new ones. */
export function writeFileAtomically(path: string, bytes: Uint8Array): void {
  renameSync(writeTemporary(path, bytes), path);
  syncDirectory(dirname(path));
}

/** AES-256-GCM under a fresh nonce; the file's name is authenticated too, so sealed files can't be swapped. */
export function writeSealedFile(path: string, plain: Uint8Array, sealKey: Uint8Array): void {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', sealKey, nonce).setAAD(associatedData(path));
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  writeFileAtomically(path, Buffer.concat([MAGIC, nonce, cipher.getAuthTag(), sealed]));
}

/**
 * What was sealed into `path`, or null when there is no such file.
 *
 * @throws {SealError} when the file does not open with this key.
 */
export function readSealedFile(path: string, sealKey: Uint8Array): Buffer | null {
  const file = readIfPresent(path);
  if (file === null) return null;
  const nonceAt = MAGIC.length;
  const tagAt = nonceAt + NONCE_BYTES;
  const sealedAt = tagAt + TAG_BYTES;
  if (file.length < sealedAt || !file.subarray(0, nonceAt).equals(MAGIC)) throw new SealError(`${path} is not sealed`);
  const decipher = createDecipheriv('aes-256-gcm', sealKey, file.subarray(nonceAt, tagAt), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(associatedData(path)).setAuthTag(file.subarray(tagAt, sealedAt));
  try {
    return Buffer.concat([decipher.update(file.subarray(sealedAt)), decipher.final()]);
  } catch (error) {
    throw new SealError(`${path} was sealed with another key, or changed`, { cause: error });
  }
}

function associatedData(path: string): Buffer {
  return Buffer.concat([MAGIC, Buffer.from(basename(path), 'utf8')]);
}

function writeTemporary(path: string, bytes: Uint8Array): string {
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`;
  const descriptor = openSync(temporary, 'wx', 0o600);
  try {
    for (let offset = 0; offset < bytes.length;) offset += writeSync(descriptor, bytes, offset);
    fsyncSync(descriptor);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  } finally {
    closeSync(descriptor);
  }
  return temporary;
}

function syncDirectory(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function readIfPresent(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
