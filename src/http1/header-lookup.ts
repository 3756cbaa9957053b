import { TOKEN_LOWER } from './byte-class.ts';
import { HEADER_FAMILIES, HEADER_NAMES, HeaderId } from './header-id.ts';

/**
 * From the bytes of a field name to its id, without making a string.
 *
 *     hash(length, four bytes, case folded) ──► slot ──► id ──► compare the whole name ──► found
 *                                                │ empty           │ differs: next slot
 *                                                ▼                 ▼
 *                                        a family by prefix, or Unknown
 *
 * Open addressing, half a kilobyte. The compare is what decides: a name made to collide finds nothing but its own
 * family.
 */
const SLOT_COUNT = 512;
const slots = new Uint8Array(SLOT_COUNT);
const names: readonly Uint8Array[] = HEADER_NAMES.map(latin1Bytes);
const families: readonly { prefix: Uint8Array; id: HeaderId }[] = HEADER_FAMILIES.map(([prefix, id]) => ({
  prefix: latin1Bytes(prefix),
  id,
}));
const LETTER_X = 0x78;
const LETTER_A = 0x61;

for (const [id, name] of names.entries()) {
  if (name.length > 0) {
    let slot = hash(name, 0, name.length);
    while (slots[slot] !== 0) slot = (slot + 1) % SLOT_COUNT;
    slots[slot] = id;
  }
}

/** Id of the field name at `start`–`end`, which must not be empty; case does not matter. */
export function lookUpHeader(bytes: Uint8Array, start: number, end: number): HeaderId {
  let slot = hash(bytes, start, end);
  for (let id = slots[slot]!; id !== 0; id = slots[slot]!) {
    const name = names[id]!;
    if (name.length === end - start && hasPrefix(bytes, start, name)) return id as HeaderId;
    slot = (slot + 1) % SLOT_COUNT;
  }
  const first = TOKEN_LOWER[bytes[start]!];
  return first === LETTER_X || first === LETTER_A ? lookUpFamily(bytes, start, end) : HeaderId.Unknown;
}

function lookUpFamily(bytes: Uint8Array, start: number, end: number): HeaderId {
  for (const family of families) {
    if (end - start >= family.prefix.length && hasPrefix(bytes, start, family.prefix)) return family.id;
  }
  return HeaderId.Unknown;
}

function hasPrefix(bytes: Uint8Array, start: number, lowerCasePrefix: Uint8Array): boolean {
  for (let i = 0; i < lowerCasePrefix.length; i++) {
    if (TOKEN_LOWER[bytes[start + i]!] !== lowerCasePrefix[i]) return false;
  }
  return true;
}

/** Length and four bytes. With these multipliers, found by trial, no two known names share a slot (tested). */
function hash(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  const first = TOKEN_LOWER[bytes[start]!]!;
  const quarter = TOKEN_LOWER[bytes[start + (length >> 2)]!]!;
  const middle = TOKEN_LOWER[bytes[start + (length >> 1)]!]!;
  const last = TOKEN_LOWER[bytes[end - 1]!]!;
  return (length * 63 + first * 76 + quarter * 25 + middle * 78 + last * 99) & (SLOT_COUNT - 1);
}

function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
