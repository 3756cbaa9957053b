/** One request as it was received. Header values are looked up in the raw head, so a plain request parses little. */
export class MockRequest {
  readonly method: string;
  readonly target: string;
  /** Request line and header lines, without the empty line. */
  readonly head: string;
  readonly nonce: string | null;
  readonly keepAlive: boolean;
  readonly isHttp10: boolean;
  readonly hasOverrides: boolean;
  body: Buffer;

  constructor(parsed: ParsedHead) {
    this.method = parsed.method;
    this.target = parsed.target;
    this.head = parsed.head;
    this.nonce = parsed.nonce;
    this.keepAlive = parsed.keepAlive;
    this.isHttp10 = parsed.isHttp10;
    this.hasOverrides = parsed.hasOverrides;
    this.body = EMPTY;
  }

  /** Names in lower case, in the order received. */
  headers(): [name: string, value: string][] {
    return this.head
      .split('\r\n')
      .slice(1)
      .map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      });
  }

  header(name: string): string | null {
    return this.headers().find(([other]) => other === name)?.[1] ?? null;
  }
}

export interface ParsedHead {
  method: string;
  target: string;
  head: string;
  nonce: string | null;
  keepAlive: boolean;
  isHttp10: boolean;
  hasOverrides: boolean;
  contentLength: number;
  isChunked: boolean;
  expectsContinue: boolean;
  isUpgrade: boolean;
}

const EMPTY = Buffer.alloc(0);
const NONCE_VALUE = /^[\w.-]{1,64}$/;
const REQUEST_LINE = /^([A-Z]+) (\S+) HTTP\/1\.([01])$/;

/** @returns the parsed head, or a sentence that says what is wrong with it. */
export function parseHead(head: string): ParsedHead | string {
  let lineEnd = head.indexOf('\r\n');
  if (lineEnd < 0) lineEnd = head.length;
  const match = REQUEST_LINE.exec(head.slice(0, lineEnd));
  if (match === null) return 'malformed request line';
  const isHttp10 = match[3] === '0';
  const parsed: ParsedHead = {
    method: match[1] ?? '',
    target: match[2] ?? '',
    head,
    nonce: null,
    keepAlive: !isHttp10,
    isHttp10,
    hasOverrides: false,
    contentLength: -1,
    isChunked: false,
    expectsContinue: false,
    isUpgrade: false,
  };
  let at = lineEnd + 2;
  while (at < head.length) {
    let end = head.indexOf('\r\n', at);
    if (end < 0) end = head.length;
    // Of all headers only those that start with c, e, t, u or x decide anything here.
    const first = head.charCodeAt(at) | 0x20;
    if (first === 0x63 || first === 0x65 || first === 0x74 || first === 0x75 || first === 0x78) {
      const problem = readHeader(parsed, head.slice(at, end));
      if (problem !== null) return problem;
    }
    at = end + 2;
  }
  if (parsed.isChunked && parsed.contentLength >= 0) return 'both content-length and transfer-encoding';
  return parsed;
}

function readHeader(parsed: ParsedHead, line: string): string | null {
  const colon = line.indexOf(':');
  if (colon < 1) return 'header without a name';
  const name = line.slice(0, colon).toLowerCase();
  const value = line.slice(colon + 1).trim();
  if (name === 'content-length') {
    if (!/^\d{1,15}$/.test(value)) return 'malformed content-length';
    if (parsed.contentLength >= 0) return 'repeated content-length';
    parsed.contentLength = Number(value);
  } else if (name === 'transfer-encoding') {
    if (value.toLowerCase() !== 'chunked') return 'unsupported transfer-encoding';
    parsed.isChunked = true;
  } else if (name === 'connection') {
    const options = value.toLowerCase();
    if (options.includes('close')) parsed.keepAlive = false;
    else if (options.includes('keep-alive')) parsed.keepAlive = true;
  } else if (name === 'upgrade') {
    parsed.isUpgrade = true;
  } else if (name === 'expect') {
    parsed.expectsContinue = value.toLowerCase() === '100-continue';
  } else if (name === 'x-nonce') {
    if (NONCE_VALUE.test(value)) parsed.nonce = value;
  } else if (name.startsWith('x-mock-')) {
    parsed.hasOverrides = true;
  }
  return null;
}
