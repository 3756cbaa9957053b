import { hash } from 'node:crypto';
import type { KeyChangesMessage } from '../../contract/control-messages.ts';
import { KeyDirectory } from '../../contract/key-directory.ts';
import type { KeyRecord } from '../../contract/key-record.ts';
import type { WorkerLimits } from '../limits/worker-limits.ts';
import { resolvedKey, type ResolvedKey } from './resolved-key.ts';

/**
 * Bounds what one worker remembers of keys it has seen: two generations of at most so many. The older one goes when the
 * younger is full, but for those of it that were used since. One that falls out is found again in the directory, or
 * asked for again.
 */
const GENERATION_KEYS = 32_768;

/** Bounds remembered unknown keys: an attacker's guesses must not push out good keys, so they have a table of their own. */
const MAX_NEGATIVE_KEYS = 4_096;
const NEGATIVE_TTL_MS = 10_000;

/**
 * The virtual keys as one worker sees them: the shared directory, the changes since, and a cache of parsed records.
 * Look-ups are by `digest`: the 32 bytes of the key's SHA-256 as a latin1 string, which a Map hashes quickly.
 */
export class KeyStore {
  readonly #limits: WorkerLimits;
  #directory: KeyDirectory | null = null;
  #complete = false;
  #sequence = 0;
  readonly #changes = new Map<string, KeyRecord | null>();
  #cache = new Map<string, ResolvedKey>();
  #olderCache = new Map<string, ResolvedKey>();
  readonly #unknownUntilMs = new Map<string, number>();

  constructor(limits: WorkerLimits) {
    this.#limits = limits;
  }

  /** Takes a new directory; `shared` is never written by anyone. Changes known so far are in it. */
  load(shared: Uint8Array, sequence: number, complete: boolean): void {
    this.#directory = new KeyDirectory(shared);
    this.#complete = complete;
    this.#sequence = sequence;
    this.#changes.clear();
    this.#cache.clear();
    this.#olderCache.clear();
    this.#unknownUntilMs.clear();
  }

  /** @returns false on a gap: the directory must be loaded again. */
  apply(message: KeyChangesMessage): boolean {
    if (message.fromSequence !== this.#sequence) return false;
    for (const { hash: hex, record } of message.changes) this.#change(digestOfHex(hex), record);
    this.#sequence = message.toSequence;
    return true;
  }

  /** The control plane's answer to a look-up: kept like a key of the directory that has been used. */
  learn(hex: string, record: KeyRecord): void {
    const digest = digestOfHex(hex);
    this.#forget(digest);
    this.#remember(digest, resolvedKey(record, this.#limits));
  }

  #change(digest: string, record: KeyRecord | null): void {
    this.#forget(digest);
    const isResident = record !== null || this.#complete || this.#changes.has(digest);
    if (isResident || this.#findInDirectory(digest) !== null) this.#changes.set(digest, record);
  }

  #forget(digest: string): void {
    this.#cache.delete(digest);
    this.#olderCache.delete(digest);
    this.#unknownUntilMs.delete(digest);
  }

  /** The directory holds every key there is, so one not found is unknown without asking. */
  get complete(): boolean {
    return this.#complete;
  }

  /** @returns the key; null = known not to exist; undefined = not resolved here, the control plane may know. */
  find(digest: string, nowMs: number): ResolvedKey | null | undefined {
    const cached = this.#cache.get(digest);
    if (cached !== undefined) return cached;
    return this.#findUncached(digest, nowMs);
  }

  /** Remembers for a while that the control plane does not know this key. */
  rememberUnknown(hex: string, nowMs: number): void {
    if (this.#unknownUntilMs.size >= MAX_NEGATIVE_KEYS) this.#unknownUntilMs.clear();
    this.#unknownUntilMs.set(digestOfHex(hex), nowMs + NEGATIVE_TTL_MS);
  }

  #findUncached(digest: string, nowMs: number): ResolvedKey | null | undefined {
    const older = this.#olderCache.get(digest);
    if (older !== undefined) {
      this.#remember(digest, older);
      return older;
    }
    const changed = this.#changes.get(digest);
    const record = changed === undefined ? this.#findInDirectory(digest) : changed;
    if (record === null) {
      if (changed === null) return null;
      const until = this.#unknownUntilMs.get(digest);
      return until !== undefined && until > nowMs ? null : undefined;
    }
    const key = resolvedKey(record, this.#limits);
    this.#remember(digest, key);
    return key;
  }

  #remember(digest: string, key: ResolvedKey): void {
    if (this.#cache.size >= GENERATION_KEYS) {
      this.#olderCache = this.#cache;
      this.#cache = new Map();
    }
    this.#cache.set(digest, key);
  }

  #findInDirectory(digest: string): KeyRecord | null {
    return this.#directory === null ? null : this.#directory.find(Buffer.from(digest, 'latin1'));
  }
}

/** SHA-256 of a key's text as a 32-character latin1 string. */
export function digestOf(key: string): string {
  return hash('sha256', key, 'latin1');
}

function digestOfHex(hex: string): string {
  return Buffer.from(hex, 'hex').toString('latin1');
}
