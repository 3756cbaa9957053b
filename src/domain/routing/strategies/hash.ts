/* Hashes for spreading, not for secrecy. All are unsigned 32-bit numbers. */

const FIRST = 0x81_1c_9d_c5;
const PRIME = 0x01_00_01_93;

/** Every bit of `value` moves half of the bits of the result (the finalizer of MurmurHash3). */
export function mix32(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85_eb_ca_6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2_b2_ae_35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Of `bytes[start, end)`, four at a time. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = FIRST ^ (end - start);
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash = Math.imul(hash ^ word, PRIME);
    // A product's low bits hear nothing of the factors' high ones: turned, they take their turns.
    hash = (hash << 13) | (hash >>> 19);
  }
  for (; at < end; at += 1) {
    hash = Math.imul(hash ^ bytes[at]!, PRIME);
    hash = (hash << 13) | (hash >>> 19);
  }
  return mix32(hash);
}

/** Of a text's UTF-16 units. */
export function hashText(text: string): number {
  let hash = FIRST;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), PRIME);
    hash = (hash << 13) | (hash >>> 19);
  }
  return mix32(hash);
}
