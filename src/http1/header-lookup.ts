import { invariant } from '../base/invariant.ts';
import { HEADER_FAMILIES, HEADER_NAMES, HeaderId } from './header-id.ts';

/**
 * From the bytes of a field name to its id, without making a string.
 *
 *     hash(length, four bytes) ──► slot ──► id ──► compare the whole name ──► found
 *                                   │ empty           │ differs
 *                                   ▼                 ▼
 *                            a family, by prefix, or Unknown
 *
 * The multipliers were found by trial: no two known names share a slot (checked when the module loads), so one compare
 * is enough, and a name made to collide finds nothing.
 */
const SLOT_COUNT = 512;
const slots = new Uint8Array(SLOT_COUNT);

/** All names in one array, id × NAME_BYTES apart: one bounds check where an array of arrays takes several. */
const NAME_BYTES = 32;
const names = new Uint8Array(HEADER_NAMES.length * NAME_BYTES);
const nameLengths = Uint8Array.from(HEADER_NAMES, (name) => name.length);

const families = HEADER_FAMILIES.map(([text, id]) => ({
  prefix: Uint8Array.from(text, (character) => character.charCodeAt(0)),
  id,
}));

/**
 * Folds the case of token bytes. `A`–`Z` become `a`–`z`; `-` and the digits keep their value; of the rest, no two token
 * bytes fold into one that a known name holds.
 */
const LOWER_CASE_BIT = 0x20;
const LETTER_A = 0x61;
const LETTER_X = 0x78;

for (const [id, name] of HEADER_NAMES.entries()) fillSlot(id, name);

function fillSlot(id: number, name: string): void {
  if (name === '') return;
  for (let i = 0; i < name.length; i++) names[id * NAME_BYTES + i] = name.charCodeAt(i);
  const slot = hash(names, id * NAME_BYTES, id * NAME_BYTES + name.length);
  invariant(name.length <= NAME_BYTES && slots[slot] === 0, 'each known header name has a slot of its own');
  slots[slot] = id;
}

/** Id of the field name at `start`–`end`: one or more token bytes, in either case. */
export function lookUpHeader(bytes: Uint8Array, start: number, end: number): HeaderId {
  const id = slots[hash(bytes, start, end)]!;
  if (id !== 0 && nameLengths[id] === end - start) {
    const name = id * NAME_BYTES;
    let i = 0;
    while (start + i < end && (bytes[start + i]! | LOWER_CASE_BIT) === names[name + i]) i++;
    if (start + i === end) return id as HeaderId;
  }
  const first = bytes[start]! | LOWER_CASE_BIT;
  return first === LETTER_X || first === LETTER_A ? lookUpFamily(bytes, start, end) : HeaderId.Unknown;
}

function lookUpFamily(bytes: Uint8Array, start: number, end: number): HeaderId {
  for (let i = 0; i < families.length; i++) {
    const { prefix, id } = families[i]!;
    if (end - start > prefix.length && hasPrefix(bytes, start, prefix)) return id;
  }
  return HeaderId.Unknown;
}

function hasPrefix(bytes: Uint8Array, start: number, lowerCasePrefix: Uint8Array): boolean {
  for (let i = 0; i < lowerCasePrefix.length; i++) {
    if ((bytes[start + i]! | LOWER_CASE_BIT) !== lowerCasePrefix[i]) return false;
  }
  return true;
}

function hash(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  const first = bytes[start]! | LOWER_CASE_BIT;
  const quarter = bytes[start + (length >> 2)]! | LOWER_CASE_BIT;
  const middle = bytes[start + (length >> 1)]! | LOWER_CASE_BIT;
  const last = bytes[end - 1]! | LOWER_CASE_BIT;
  return (length * 63 + first * 76 + quarter * 25 + middle * 78 + last * 99) & (SLOT_COUNT - 1);
}
