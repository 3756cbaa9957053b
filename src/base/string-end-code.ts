/*
 * WebAssembly of `findQuote` (string-end.ts), assembled here: 16 bytes are compared by one instruction, which JavaScript
 * has no way to say. Opcodes are those of the WebAssembly core specification, release 2, §5.4 (vectors: §5.4.8).
 *
 *   findQuote(at, end): the first quote in [at, end) that no backslash escapes; a value ≥ end if there is none.
 *   The byte at `at` must not itself be escaped. Reads up to 63 bytes past `end`, whose content does not matter.
 *
 * For each 64 bytes one bit per byte says where quotes and backslashes are. Which bytes are escaped is found without a
 * loop, as in simdjson (Langdale and Lemire, "Parsing Gigabytes of JSON per Second", 2019, §3.1.1): subtracting the
 * backslashes from an alternating pattern ripples a borrow through each run of them, and how it comes out at the run's end
 * tells odd from even.
 */

type Code = readonly number[];

const BLOCK_BYTES = 64;
const VECTORS = [0, 1, 2, 3];
const VECTOR_BYTES = 16;

/** "\0asm", version 1. */
const MAGIC: Code = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

// Value types
const I32 = 0x7f;
const I64 = 0x7e;
const V128 = 0x7b;
const NO_RESULT = 0x40;

// Instructions
const LOOP: Code = [0x03, NO_RESULT];
const IF: Code = [0x04, NO_RESULT];
const END: Code = [0x0b];
const RETURN: Code = [0x0f];
const I32_EQZ: Code = [0x45];
const I32_GE_U: Code = [0x4f];
const I32_ADD: Code = [0x6a];
const I32_WRAP_I64: Code = [0xa7];
const I64_EQZ: Code = [0x50];
const I64_CTZ: Code = [0x7a];
const I64_SUB: Code = [0x7d];
const I64_AND: Code = [0x83];
const I64_OR: Code = [0x84];
const I64_XOR: Code = [0x85];
const I64_SHL: Code = [0x86];
const I64_SHR_U: Code = [0x88];
const I64_EXTEND_I32_U: Code = [0xad];
const V128_LOAD: Code = [0xfd, 0x00, 0x00];
const I8X16_SPLAT: Code = [0xfd, 0x0f];
const I8X16_EQ: Code = [0xfd, 0x23];
const I8X16_BITMASK: Code = [0xfd, 0x64];

// Locals: the two parameters, then four of i64, then four vectors
const at = 0;
const end = 1;
const quotes = 2;
const backslashes = 3;
/** 1 if the first byte of this block is escaped by the last of the one before. */
const carry = 4;
/** At each run of backslashes: the bits of those that escape, and of the byte after the run if it is escaped. */
const escapes = 5;
const vector = 6;

/** Bits 1, 3, 5, … */
const ODD_BITS = BigInt.asIntN(64, 0xaaaa_aaaa_aaaa_aaaan);

/** The module: exports `memory` of `pages` × 64 KiB, which never grows, and `findQuote`. */
export function findQuoteModule(pages: number): Uint8Array {
  const locals = [2, 4, I64, VECTORS.length, V128];
  const body = [...locals, ...findQuote(), ...END];
  return Uint8Array.of(
    ...MAGIC,
    ...section(1, [1, 0x60, 2, I32, I32, 1, I32]), // one type: (i32, i32) → i32
    ...section(3, [1, 0]), // one function, of that type
    ...section(5, [1, 1, ...unsigned(pages), ...unsigned(pages)]), // one memory: initial and maximum size
    ...section(7, [2, ...name('memory'), 2, 0, ...name('findQuote'), 0, 0]),
    ...section(10, [1, ...unsigned(body.length), ...body]),
  );
}

function findQuote(): Code {
  return [
    LOOP,
    line(get(at), get(end), I32_GE_U, IF, get(end), RETURN, END),
    ...VECTORS.map((n) => line(get(at), V128_LOAD, unsigned(n * VECTOR_BYTES), set(vector + n))),
    line(bitsOf('"'), set(quotes)),
    line(bitsOf('\\'), set(backslashes)),
    line(get(backslashes), get(carry), I64_OR, I64_EQZ, I32_EQZ, IF, dropEscaped(), END),
    line(get(quotes), I64_EQZ, I32_EQZ, IF),
    line(get(at), get(quotes), I64_CTZ, I32_WRAP_I64, I32_ADD, RETURN),
    END,
    line(get(at), i32(BLOCK_BYTES), I32_ADD, set(at)),
    branchTo(0),
    END,
    get(end), // not reached; a function must end in its result
  ].flat();
}

/** One bit for each of the block's 64 bytes that is `character`. */
function bitsOf(character: string): Code {
  return VECTORS.flatMap((n) => {
    const compared = line(get(vector + n), i32(character.charCodeAt(0)), I8X16_SPLAT, I8X16_EQ);
    const bits = line(compared, I8X16_BITMASK, I64_EXTEND_I32_U);
    return n === 0 ? bits : line(bits, i64(BigInt(n * VECTOR_BYTES)), I64_SHL, I64_OR);
  });
}

/** quotes &= ~escaped; carry = whether the block's last byte escapes the next one. */
function dropEscaped(): Code {
  return [
    // Backslashes that may begin an escape: all but one that is escaped by the block before.
    line(get(backslashes), get(backslashes), get(carry), I64_AND, I64_XOR, set(escapes)),
    // escapes = (((escapes << 1) | ODD_BITS) − escapes) ^ ODD_BITS
    line(get(escapes), i64(1n), I64_SHL, i64(ODD_BITS), I64_OR, get(escapes), I64_SUB),
    line(i64(ODD_BITS), I64_XOR, set(escapes)),
    // quotes &= ~(escapes ^ (backslashes | carry))
    line(get(escapes), get(backslashes), get(carry), I64_OR, I64_XOR, i64(-1n), I64_XOR),
    line(get(quotes), I64_AND, set(quotes)),
    // carry = (escapes & backslashes) >>> 63
    line(get(escapes), get(backslashes), I64_AND, i64(63n), I64_SHR_U, set(carry)),
  ].flat();
}

function line(...instructions: readonly Code[]): Code {
  return instructions.flat();
}

function get(local: number): Code {
  return [0x20, local];
}

function set(local: number): Code {
  return [0x21, local];
}

function branchTo(depth: number): Code {
  return [0x0c, depth];
}

function i32(value: number): Code {
  return [0x41, ...signed(BigInt(value))];
}

function i64(value: bigint): Code {
  return [0x42, ...signed(value)];
}

function section(id: number, content: Code): Code {
  return [id, ...unsigned(content.length), ...content];
}

function name(text: string): Code {
  return [text.length, ...Array.from(text, (character) => character.charCodeAt(0))];
}

/** LEB128: seven bits a byte, the lowest first, the high bit set on all but the last (§5.2.2). */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: bigint): Code {
  const isLast = value >= -0x40n && value < 0x40n;
  const bits = Number(BigInt.asUintN(7, value));
  return isLast ? [bits] : [bits | 0x80, ...signed(value >> 7n)];
}
