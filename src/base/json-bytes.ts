/** Bytes and byte classes of JSON text (RFC 8259 §2), as tables: one load is cheaper than a chain of comparisons. */
export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const BACKSLASH = 0x5c;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;

/** What a byte is outside strings. 0: JSON has no such byte, so a lenient reader and we could see different strings. */
export const SPACE_BYTE = 1;
export const LITERAL_BYTE = 2;
export const SEPARATOR_BYTE = 3;
export const QUOTE_BYTE = 4;
export const OPEN_BYTE = 5;
const CLOSE_BYTE = 6;
export const BYTE_CLASS: Uint8Array = new Uint8Array(256);
for (const [text, kind] of [
  [' \t\r\n', SPACE_BYTE],
  ['0123456789+-.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz', LITERAL_BYTE],
  [',:', SEPARATOR_BYTE],
  ['"', QUOTE_BYTE],
  ['[{', OPEN_BYTE],
  [']}', CLOSE_BYTE],
] as const) {
  for (let i = 0; i < text.length; i += 1) BYTE_CLASS[text.charCodeAt(i)] = kind;
}

/** Not 0: the bytes at which the walk through a string has to think. */
export const STRING_STOP: Uint8Array = new Uint8Array(256);
STRING_STOP[QUOTE] = 1;
STRING_STOP[BACKSLASH] = 1;

/** Not 0: where the walk through a plain key ends, at its quote, an escape, or a control character. */
export const KEY_STOP: Uint8Array = new Uint8Array(256).fill(1, 0, 0x20);
KEY_STOP[QUOTE] = 1;
KEY_STOP[BACKSLASH] = 1;

/** What a backslash and this byte stand for in a string; 0: no escape of one letter. */
export const SIMPLE_ESCAPES: Uint8Array = new Uint8Array(256);
for (const [escape, decoded] of ['""', '\\\\', '//', 'b\b', 'f\f', 'n\n', 'r\r', 't\t']) {
  SIMPLE_ESCAPES[escape!.charCodeAt(0)] = decoded!.charCodeAt(0);
}
