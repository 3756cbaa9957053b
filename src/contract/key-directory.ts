import { invariant } from '../base/invariant.ts';
import type { BudgetSpec, KeyBudgets } from './budget-spec.ts';
import {
  BARE_KEY_RECORD,
  type KeyRecord,
  type LimitSpec,
  type ModelLimits,
  type OwnerLimits,
  type RateLimitSpec,
  type RetiredKey,
} from './key-record.ts';
import { decodeUtf8, encodeUtf8Into } from './utf8.ts';

/*
 * All numbers u32 little-endian.
 *
 *   0 ┌ header ─────────────────────────────────────────────────────────────────────┐
 *     │ magic "SLKD" │ format │ count │ capacity │ tableOffset │ heapOffset │ bytes │  64 bytes, rest zero
 *     ├ table: capacity × 36 bytes ─────────────────────────────────────────────────┤
 *     │ SHA-256 (32) │ offset of the record; 0 = the slot is empty                  │  linear probing from the
 *     ├ heap ───────────────────────────────────────────────────────────────────────┤  hash's first four bytes
 *     │ length │ JSON of the record, without what is nothing │ length │ …           │
 *     └─────────────────────────────────────────────────────────────────────────────┘
 */
const MAGIC = 0x444b_4c53; // "SLKD" as the file's first four bytes
const FORMAT = 4;
const HEADER_BYTES = 64;
const HASH_BYTES = 32;
const ENTRY_BYTES = HASH_BYTES + 4;
const LENGTH_BYTES = 4;
const MIN_CAPACITY = 8;
/** With linear probing and uniform hashes a miss costs ½(1 + 1/(1 − load)²) probes: at most 3.6 on average here. */
const MAX_LOAD = 0.6;
const MAX_BYTES = 0xffff_ffff;

/** The bytes are no key directory that this version reads. */
export class KeyDirectoryError extends Error {
  override readonly name = 'KeyDirectoryError';
}

/** The directory of all keys: the same bytes for the same set of records, in whatever order. Hashes must differ. */
export function buildKeyDirectory(
  records: readonly KeyRecord[],
  retired: readonly RetiredKey[] = [],
): Uint8Array<ArrayBuffer> {
  const all = [...records.map((record) => ({ hash: record.hash, record })), ...retired];
  const sorted = all.toSorted((a, b) => (a.hash < b.hash ? -1 : 1));
  const capacity = capacityFor(sorted.length);
  const heapOffset = HEADER_BYTES + capacity * ENTRY_BYTES;
  const output = new GrowingBytes(heapOffset + sorted.length * 256);
  output.length = heapOffset;

  const offsets = sorted.map(({ record }) => output.appendRecord(record));
  const bytes = output.finish();
  const view = new DataView(bytes.buffer);
  const header = [MAGIC, FORMAT, sorted.length, capacity, HEADER_BYTES, heapOffset, bytes.length];
  for (const [index, word] of header.entries()) view.setUint32(index * 4, word, true);

  const hash = new Uint8Array(HASH_BYTES);
  let previous = '';
  for (const [index, entry] of sorted.entries()) {
    invariant(entry.hash !== previous, 'a key hash stands in the directory once');
    previous = entry.hash;
    parseHash(entry.hash, hash);
    let slot = firstSlot(hash, 0, capacity);
    while (view.getUint32(entryOffset(slot) + HASH_BYTES, true) !== 0) slot = (slot + 1) & (capacity - 1);
    bytes.set(hash, entryOffset(slot));
    view.setUint32(entryOffset(slot) + HASH_BYTES, offsets[index] ?? 0, true);
  }
  return bytes;
}

/** Look-ups in the bytes of a directory, which may lie in a SharedArrayBuffer that nobody writes any more. */
export class KeyDirectory {
  readonly count: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #capacity: number;

  /** @throws {KeyDirectoryError} when the bytes are cut short, or of another format. */
  constructor(bytes: Uint8Array) {
    if (bytes.length < HEADER_BYTES) throw new KeyDirectoryError('the key directory is cut short');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (view.getUint32(0, true) !== MAGIC) throw new KeyDirectoryError('this is no key directory');
    const format = view.getUint32(4, true);
    if (format !== FORMAT) {
      throw new KeyDirectoryError(`the key directory has format ${format}, this version reads ${FORMAT}`);
    }
    const capacity = view.getUint32(12, true);
    const heapOffset = view.getUint32(20, true);
    if (view.getUint32(24, true) !== bytes.length || heapOffset !== HEADER_BYTES + capacity * ENTRY_BYTES) {
      throw new KeyDirectoryError('the key directory is cut short');
    }
    this.count = view.getUint32(8, true);
    if (capacity < MIN_CAPACITY || (capacity & (capacity - 1)) !== 0 || this.count >= capacity) {
      throw new KeyDirectoryError('the key directory has an impossible table');
    }
    this.#bytes = bytes;
    this.#view = view;
    this.#capacity = capacity;
  }

  /** The record of the key with this SHA-256 (32 bytes at `hashOffset`), or null. Parses JSON on each call. */
  find(hash: Uint8Array, hashOffset = 0): KeyRecord | null {
    const offset = this.findOffset(hash, hashOffset);
    return offset < 0 ? null : this.recordAt(offset);
  }

  /** Where that record lies, a number that is the key's own within this directory, or −1: for a cache of parsed records. */
  findOffset(hash: Uint8Array, hashOffset = 0): number {
    invariant(hash.length >= hashOffset + HASH_BYTES, 'a key hash has 32 bytes');
    const mask = this.#capacity - 1;
    // Ends: the table always has an empty slot, for count < capacity.
    for (let slot = firstSlot(hash, hashOffset, this.#capacity); ; slot = (slot + 1) & mask) {
      const entry = entryOffset(slot);
      const offset = this.#view.getUint32(entry + HASH_BYTES, true);
      if (offset === 0) return -1;
      if (this.#isHashAt(entry, hash, hashOffset)) return offset;
    }
  }

  /** The record at an offset that `findOffset` answered. */
  recordAt(offset: number): KeyRecord {
    const start = offset + LENGTH_BYTES;
    const end = start + this.#view.getUint32(offset, true);
    invariant(end <= this.#bytes.length, 'a record lies within its directory');
    const stored = JSON.parse(decodeUtf8(this.#bytes.subarray(start, end))) as Partial<KeyRecord>;
    return { ...BARE_KEY_RECORD, ...stored };
  }

  /** All of it, by the hash that clients' keys have, in no order. Parses each record. */
  *entries(): Generator<[hash: string, record: KeyRecord]> {
    for (let slot = 0; slot < this.#capacity; slot++) {
      const entry = entryOffset(slot);
      const offset = this.#view.getUint32(entry + HASH_BYTES, true);
      if (offset !== 0) yield [this.#hexAt(entry), this.recordAt(offset)];
    }
  }

  #hexAt(entry: number): string {
    let hex = '';
    for (const byte of this.#bytes.subarray(entry, entry + HASH_BYTES)) hex += byte.toString(16).padStart(2, '0');
    return hex;
  }

  #isHashAt(entry: number, hash: Uint8Array, hashOffset: number): boolean {
    for (let index = 0; index < HASH_BYTES; index++) {
      if (this.#bytes[entry + index] !== hash[hashOffset + index]) return false;
    }
    return true;
  }
}

class GrowingBytes {
  #bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(Math.min(capacity, MAX_BYTES));
  }

  appendRecord(record: KeyRecord): number {
    const offset = this.length;
    const json = JSON.stringify(withoutNothing(inOrder(record)));
    let written = encodeUtf8Into(json, this.#bytes.subarray(Math.min(offset + LENGTH_BYTES, this.#bytes.length)));
    while (written < 0) {
      this.#grow(json.length * 3 + LENGTH_BYTES);
      written = encodeUtf8Into(json, this.#bytes.subarray(offset + LENGTH_BYTES));
    }
    new DataView(this.#bytes.buffer).setUint32(offset, written, true);
    this.length = offset + LENGTH_BYTES + written;
    return offset;
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.length);
  }

  #grow(extra: number): void {
    const capacity = Math.max(this.#bytes.length * 2, this.length + extra);
    invariant(this.length + extra <= MAX_BYTES, 'a key directory is smaller than 4 GiB');
    const grown = new Uint8Array(Math.min(capacity, MAX_BYTES));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

/** The stored form says nothing of what is as in `BARE_KEY_RECORD`: 145 bytes less for each of a million keys. */
function withoutNothing(record: KeyRecord): Partial<KeyRecord> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => !isNothing(value)));
}

function isNothing(value: unknown): boolean {
  if (value === null || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** Own fields in one order, so that equal records are equal bytes. */
function inOrder(record: KeyRecord): KeyRecord {
  return {
    hash: record.hash,
    alias: record.alias,
    userId: record.userId,
    teamId: record.teamId,
    models: record.models,
    aliases: textsInOrder(record.aliases),
    allowedRoutes: record.allowedRoutes,
    tags: record.tags,
    ...limitsInOrder(record),
    modelLimits: modelLimitsInOrder(record.modelLimits),
    userLimits: record.userLimits === null ? null : ownerLimitsInOrder(record.userLimits),
    teamLimits: record.teamLimits === null ? null : ownerLimitsInOrder(record.teamLimits),
    ...(record.memberLimits === undefined ? {} : { memberLimits: rateLimitsInOrder(record.memberLimits) }),
    ...(record.budgets === undefined ? {} : { budgets: budgetsInOrder(record.budgets) }),
    expiresAtMs: record.expiresAtMs,
    blocked: record.blocked,
  };
}

function budgetsInOrder({ key, user, team, member, models }: KeyBudgets): KeyBudgets {
  const [ofKey = null, ofUser = null, ofTeam = null, ofMember = null] = [key, user, team, member].map(budgetInOrder);
  const names = Object.keys(models).sort();
  return {
    key: ofKey,
    user: ofUser,
    team: ofTeam,
    member: ofMember,
    models: Object.fromEntries(names.map((name) => [name, budgetInOrder(models[name]!)!])),
  };
}

function budgetInOrder(budget: BudgetSpec | null): BudgetSpec | null {
  if (budget === null) return null;
  const { maxNano, softNano, duration } = budget;
  return { maxNano, softNano, duration };
}

function textsInOrder(texts: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function limitsInOrder({ rpmLimit, tpmLimit, maxParallelRequests }: LimitSpec): LimitSpec {
  return { rpmLimit, tpmLimit, maxParallelRequests };
}

function ownerLimitsInOrder(limits: OwnerLimits): OwnerLimits {
  return { ...limitsInOrder(limits), modelLimits: modelLimitsInOrder(limits.modelLimits) };
}

function modelLimitsInOrder(limits: ModelLimits): ModelLimits {
  const names = Object.keys(limits).sort();
  return Object.fromEntries(names.map((name) => [name, rateLimitsInOrder(limits[name]!)]));
}

function rateLimitsInOrder({ rpmLimit, tpmLimit }: RateLimitSpec): RateLimitSpec {
  return { rpmLimit, tpmLimit };
}

function capacityFor(count: number): number {
  let capacity = MIN_CAPACITY;
  while (count > capacity * MAX_LOAD) capacity *= 2;
  return capacity;
}

function entryOffset(slot: number): number {
  return HEADER_BYTES + slot * ENTRY_BYTES;
}

/** A SHA-256 is uniform as it is: its first four bytes choose the slot. */
function firstSlot(hash: Uint8Array, offset: number, capacity: number): number {
  const word =
    (hash[offset] ?? 0) |
    ((hash[offset + 1] ?? 0) << 8) |
    ((hash[offset + 2] ?? 0) << 16) |
    ((hash[offset + 3] ?? 0) << 24);
  return (word & (capacity - 1)) >>> 0;
}

/** In the language since ECMAScript 2026, in our Node, not yet in the library this layer is typed with. */
interface HexTarget {
  setFromHex(hex: string): { readonly written: number };
}

function parseHash(hex: string, target: Uint8Array): void {
  invariant(/^[0-9a-f]{64}$/.test(hex), 'a key hash is 64 hex digits');
  (target as unknown as HexTarget).setFromHex(hex);
}
