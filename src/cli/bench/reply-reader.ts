import { FrameReader } from './frame-reader.ts';

const HEAD_END = Buffer.from('\r\n\r\n');
const CR = 0x0d;
const EMPTY = Buffer.alloc(0);
const MAX_HEAD_BYTES = 256 * 1024;

/** Where in a reply the reader is. */
type State = 'head' | 'length' | 'chunk-size' | 'chunk-data' | 'trailers' | 'until-close';

/** How it must be told what has become of the reply. */
export type ReplyProgress = 'more' | 'complete' | 'malformed';

/**
 * Reads one reply after the other on one connection. Knows just enough HTTP to be sure that a reply is complete; a reply
 * that comes in one piece with a content-length is not copied.
 */
export class ReplyReader {
  status = 0;
  bodyBytes = 0;
  /** The reply ends the connection. */
  closes = false;
  /** The nonce asked for was in the body. */
  hasNonce = false;
  /** Kept for a probe; not filled in a run. */
  head = '';
  readonly frames: FrameReader | null;
  readonly #keepsBody: boolean;
  #state: State = 'head';
  #left = 0;
  /** Offset of the next unread byte of the input at hand. */
  #at = 0;
  #isStarved = false;
  #nonce: Buffer = EMPTY;
  /** Bytes of an incomplete head or chunk line. */
  #partial: Buffer = EMPTY;
  /** The body so far, where it did not come in one piece and the nonce is still to be found. */
  #body: Buffer[] = [];

  constructor(frames: FrameReader | null, keepsBody: boolean) {
    this.frames = frames;
    this.#keepsBody = keepsBody;
  }

  /** To be called before each request. */
  begin(nonce: Buffer): void {
    this.status = 0;
    this.bodyBytes = 0;
    this.closes = false;
    this.hasNonce = nonce.length === 0;
    this.#state = 'head';
    this.#left = 0;
    this.#at = 0;
    this.#isStarved = false;
    this.#nonce = nonce;
    this.#partial = EMPTY;
    this.#body = [];
    this.frames?.begin();
  }

  get body(): Buffer {
    return Buffer.concat(this.#body);
  }

  /** The connection ended: is the reply complete? */
  get isCompleteAtClose(): boolean {
    if (this.#state !== 'until-close') return false;
    this.#finishBody();
    return true;
  }

  /** @param input valid only during the call. @param atNs its time of arrival. */
  read(input: Buffer, atNs: number): ReplyProgress {
    let bytes = input;
    if (this.#partial.length > 0) {
      bytes = Buffer.concat([this.#partial, input]);
      this.#partial = EMPTY;
    }
    this.#at = 0;
    for (;;) {
      const progress = this.#step(bytes, atNs);
      // Bytes after the reply belong to no request: that is a failure of framing.
      if (progress === 'complete') return this.#at === bytes.length ? this.#complete() : 'malformed';
      if (progress !== 'more') return progress;
      if (this.#at >= bytes.length) return 'more';
      if (this.#isStarved) {
        this.#partial = Buffer.from(bytes.subarray(this.#at));
        this.#isStarved = false;
        return this.#partial.length > MAX_HEAD_BYTES ? 'malformed' : 'more';
      }
    }
  }

  /** Moves `#at` past one element, or sets `#isStarved` when the element is not all there. */
  #step(bytes: Buffer, atNs: number): ReplyProgress {
    switch (this.#state) {
      case 'head':
        return this.#stepHead(bytes);
      case 'length':
        return this.#stepBody(bytes, atNs);
      case 'chunk-data':
        return this.#stepChunk(bytes, atNs);
      case 'chunk-size':
      case 'trailers':
        return this.#stepLine(bytes);
      case 'until-close':
        this.#take(bytes.subarray(this.#at), atNs, false);
        this.#at = bytes.length;
        return 'more';
      default:
        return this.#state satisfies never;
    }
  }

  #stepHead(bytes: Buffer): ReplyProgress {
    const end = bytes.indexOf(HEAD_END, this.#at);
    if (end < 0) {
      this.#isStarved = true;
      return 'more';
    }
    if (!this.#readHead(bytes.toString('latin1', this.#at, end))) return 'malformed';
    this.#at = end + HEAD_END.length;
    return this.#state === 'length' && this.#left === 0 ? 'complete' : 'more';
  }

  #stepBody(bytes: Buffer, atNs: number): ReplyProgress {
    const taken = Math.min(this.#left, bytes.length - this.#at);
    this.#take(bytes.subarray(this.#at, this.#at + taken), atNs, taken === this.#left && this.bodyBytes === 0);
    this.#at += taken;
    this.#left -= taken;
    return this.#left === 0 ? 'complete' : 'more';
  }

  /** `#left` counts the CRLF after the data too. */
  #stepChunk(bytes: Buffer, atNs: number): ReplyProgress {
    const available = bytes.length - this.#at;
    const payload = Math.min(this.#left - 2, available);
    if (payload > 0) this.#take(bytes.subarray(this.#at, this.#at + payload), atNs, false);
    const taken = Math.min(this.#left, available);
    this.#at += taken;
    this.#left -= taken;
    if (this.#left === 0) this.#state = 'chunk-size';
    return 'more';
  }

  #stepLine(bytes: Buffer): ReplyProgress {
    const start = this.#at;
    const end = bytes.indexOf(CR, start);
    if (end < 0 || end + 1 >= bytes.length) {
      this.#isStarved = true;
      return 'more';
    }
    this.#at = end + 2;
    if (this.#state === 'trailers') return end === start ? 'complete' : 'more';
    const size = Number.parseInt(bytes.toString('latin1', start, end), 16);
    if (!(size >= 0)) return 'malformed';
    this.#left = size + 2;
    this.#state = size === 0 ? 'trailers' : 'chunk-data';
    return 'more';
  }

  #readHead(head: string): boolean {
    if (!head.startsWith('HTTP/1.')) return false;
    this.status = Number(head.slice(9, 12));
    if (this.status === 100 || this.status === 103) return true; // interim: another head follows
    const lower = head.toLowerCase();
    this.closes = lower.includes('\r\nconnection: close') || head.startsWith('HTTP/1.0');
    if (this.#keepsBody) this.head = head;
    const lengthAt = lower.indexOf('\r\ncontent-length:');
    if (lengthAt >= 0) {
      this.#left = Number.parseInt(lower.slice(lengthAt + 17, lengthAt + 40), 10);
      this.#state = 'length';
      return this.#left >= 0;
    }
    if (lower.includes('\r\ntransfer-encoding: chunked')) {
      this.#state = 'chunk-size';
    } else {
      this.#state = 'until-close';
      this.closes = true;
    }
    return true;
  }

  #take(piece: Buffer, atNs: number, isWhole: boolean): void {
    this.bodyBytes += piece.length;
    if (this.frames !== null) this.frames.read(piece, atNs);
    if (isWhole && !this.#keepsBody) {
      if (!this.hasNonce) this.hasNonce = piece.indexOf(this.#nonce) >= 0;
    } else if (!this.hasNonce || this.#keepsBody) {
      // A stream has its nonce in the first frame: what is gathered until it is found stays small.
      this.#body.push(Buffer.from(piece));
      if (!this.#keepsBody && this.frames !== null) this.#finishBody();
    }
  }

  #finishBody(): void {
    if (this.hasNonce) return;
    this.hasNonce = Buffer.concat(this.#body).indexOf(this.#nonce) >= 0;
    if (this.hasNonce && !this.#keepsBody) this.#body = [];
  }

  #complete(): ReplyProgress {
    this.#finishBody();
    return 'complete';
  }
}
