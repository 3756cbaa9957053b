import type { Bytes } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { FIELD_VALUE, TOKEN_LOWER } from './byte-class.ts';

/** Behind the data of each chunk. */
export const CHUNK_END: string = '\r\n';
/** The last chunk and an empty trailer section. */
export const LAST_CHUNK: string = '0\r\n\r\n';

/** RFC 9110 §15 and the codes that providers use beside it. A reason is for people; no program may read it (§15.1). */
const REASONS: Readonly<Record<number, string>> = {
  100: 'Continue',
  101: 'Switching Protocols',
  102: 'Processing',
  103: 'Early Hints',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  203: 'Non-Authoritative Information',
  204: 'No Content',
  205: 'Reset Content',
  206: 'Partial Content',
  207: 'Multi-Status',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length Required',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  423: 'Locked',
  424: 'Failed Dependency',
  425: 'Too Early',
  426: 'Upgrade Required',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  451: 'Unavailable For Legal Reasons',
  499: 'Client Closed Request',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  507: 'Insufficient Storage',
  511: 'Network Authentication Required',
  529: 'Overloaded',
};

const MIN_STATUS = 100;
const MAX_STATUS = 599;
/** One line for every status there can be. A code without a reason keeps the space behind it (RFC 9112 §4). */
const statusLines: readonly string[] = Array.from(
  { length: MAX_STATUS - MIN_STATUS + 1 },
  (_, index) => `HTTP/1.1 ${MIN_STATUS + index} ${REASONS[MIN_STATUS + index] ?? ''}\r\n`,
);

/** `HTTP/1.1 200 OK\r\n`. We answer 1.1 to 1.0 clients too, as RFC 9110 §2.5 has it. */
export function statusLine(status: number): string {
  const line = statusLines[status - MIN_STATUS];
  invariant(line !== undefined, 'a status is an integer from 100 to 599');
  return line;
}

/** Bytes that `writeChunkHead` will write. */
export function chunkHeadLength(size: number): number {
  return hexDigits(size) + CHUNK_END.length;
}

/**
 * Writes `size` in hexadecimal and CR LF at `offset`; answers the offset behind it. A size of 0 would end the body, so
 * there is no such chunk: write LAST_CHUNK.
 */
export function writeChunkHead(target: Bytes, offset: number, size: number): number {
  invariant(size > 0, 'a chunk has data');
  const end = offset + hexDigits(size);
  let rest = size;
  for (let i = end - 1; i >= offset; i--) {
    const digit = rest % 16;
    target[i] = digit < 10 ? 0x30 + digit : 0x57 + digit;
    rest = (rest - digit) / 16;
  }
  target[end] = 0x0d;
  target[end + 1] = 0x0a;
  return end + 2;
}

function hexDigits(size: number): number {
  let digits = 1;
  for (let bound = 16; bound <= size; bound *= 16) digits++;
  return digits;
}

/** Whether `text` can be sent as a header name: a token. For names that come from configuration. */
export function isHeaderName(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff || TOKEN_LOWER[code] === 0) return false;
  }
  return text.length > 0;
}

/** Whether `text` can be sent as a header value, each character as one byte: no control characters, nothing above U+00FF. */
export function isHeaderValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff || FIELD_VALUE[code] === 0) return false;
  }
  return true;
}
