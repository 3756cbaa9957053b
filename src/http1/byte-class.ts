/** The bytes that the grammar of RFC 9110 and RFC 9112 names. */
const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COMMA = 0x2c;
export const SLASH = 0x2f;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const QUESTION_MARK = 0x3f;

const DIGITS = '0123456789';
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
/** RFC 3986 §2.3 and §2.2. */
const UNRESERVED = `${LETTERS}${DIGITS}-._~`;
const SUB_DELIMITERS = "!$&'()*+,;=";

/**
 * Lower-case form of each byte that may stand in a token (RFC 9110 §5.6.2), 0 for all others: one load both checks a
 * byte of a field name and folds its case.
 */
export const TOKEN_LOWER: Uint8Array = tokenLower();

/**
 * 1 for each byte a field value may hold: HTAB, SP, VCHAR and obs-text (RFC 9110 §5.5). Bytes from 0x80 on pass as the
 * opaque data they are; NUL, CR, LF and the other control characters don't.
 */
export const FIELD_VALUE: Uint8Array = byteSet((byte) => byte === HTAB || (byte >= 0x20 && byte !== 0x7f));

/**
 * 1 for each byte that may stand in a request target before its `?`: what RFC 3986 §3.3 allows, `[ ]` of an IPv6
 * authority, and `^ \` { | }`, which the WHATWG URL standard (browsers, fetch) leaves bare. Not in: controls, SP, bytes
 * from 0x80 on (a URI is ASCII, RFC 3986 §2), `" < >`, `#` (a fragment is never sent, and proxies differ on what follows
 * it) and `\`, which some readers take for `/`.
 */
export const TARGET_PATH: Uint8Array = byteSetOf(`${UNRESERVED}${SUB_DELIMITERS}:@/%[]^\`{|}`);

/** The same after the `?`; there a backslash is data that WHATWG URLs leave bare. */
export const TARGET_QUERY: Uint8Array = byteSetOf(`${UNRESERVED}${SUB_DELIMITERS}:@/%[]^\`{|}?\\`);

/** 1 for each byte of a registered name (RFC 3986 §3.2.2): a host that is no IPv6 address. */
export const HOST_NAME: Uint8Array = byteSetOf(`${UNRESERVED}${SUB_DELIMITERS}%`);

/** Value of each hexadecimal digit, 255 for every other byte. */
export const HEX_VALUE: Uint8Array = hexValues();

export function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

export function isWhitespace(byte: number): boolean {
  return byte === SP || byte === HTAB;
}

function byteSet(has: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (has(byte) ? 1 : 0));
}

function byteSetOf(characters: string): Uint8Array {
  return byteSet((byte) => characters.includes(String.fromCharCode(byte)));
}

function tokenLower(): Uint8Array {
  const table = new Uint8Array(256);
  for (const character of `!#$%&'*+-.^_\`|~${DIGITS}${LETTERS}`) {
    table[character.charCodeAt(0)] = character.toLowerCase().charCodeAt(0);
  }
  return table;
}

function hexValues(): Uint8Array {
  const table = new Uint8Array(256).fill(255);
  for (const digit of `${DIGITS}abcdefABCDEF`) table[digit.charCodeAt(0)] = Number.parseInt(digit, 16);
  return table;
}
