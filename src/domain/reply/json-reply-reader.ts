import type { Bytes } from '../../base/bytes.ts';
import { JsonKeyTable } from '../../base/json-key-table.ts';
import { JsonObjectScanner } from '../../base/json-object-scanner.ts';
import type { UsageShape } from '../endpoints.ts';
import { serviceTierOf } from '../pricing/price.ts';
import { readTokenUsage, type TokenUsage, withServiceTier } from '../usage/token-usage.ts';
import { JsonValueCapture } from './json-value-capture.ts';
import { parseJson, parseText } from './parse-json.ts';

const REPLY_KEYS = new JsonKeyTable(['model', 'usage', 'id', 'service_tier'], 'lenient');
const MODEL = 0;
const USAGE = 1;
const ID = 2;
const TIER = 3;
/** Real ones have some hundred bytes; the cap bounds what a broken provider can make us keep. */
const MAX_USAGE_BYTES = 64 * 1024;
const MAX_ID_BYTES = 1024;
const MAX_TIER_BYTES = 64;
/** Nearly every tier is `default`. */
const LETTER_D = 0x64;
const QUOTE = 0x22;

/**
 * Reads a JSON reply as it passes, in any number of pieces: usage, the place of `model`, and for the Responses API the id.
 * Keeps only those values. A reply that isn't one JSON object reads as one without them; nothing here throws.
 */
export class JsonReplyReader {
  /** Of the top-level `model`, from its opening to after its closing quote, in bytes from the reply's first; −1 unknown. */
  modelStart: number;
  /** −1 while the end of the name has not come. */
  modelEnd: number;
  /** Known as soon as the `usage` member is complete; its service tier, which may follow it, after `finish`. */
  usage: TokenUsage | null;
  /** Top-level id, for the shape `openai-responses`. */
  id: string | null;
  /** So far the bytes are one JSON object; after `finish`, a complete one. */
  valid: boolean;
  readonly #scanner: JsonObjectScanner;
  readonly #usageCapture: JsonValueCapture;
  readonly #idCapture: JsonValueCapture;
  readonly #tierCapture: JsonValueCapture;
  #hasTier: boolean;
  #usageText: string | null;
  #shape: UsageShape;

  constructor() {
    this.modelStart = -1;
    this.modelEnd = -1;
    this.usage = null;
    this.id = null;
    this.valid = true;
    this.#scanner = new JsonObjectScanner(REPLY_KEYS);
    this.#usageCapture = new JsonValueCapture(USAGE, MAX_USAGE_BYTES);
    this.#idCapture = new JsonValueCapture(ID, MAX_ID_BYTES);
    this.#tierCapture = new JsonValueCapture(TIER, MAX_TIER_BYTES);
    this.#hasTier = false;
    this.#usageText = null;
    this.#shape = 'none';
  }

  reset(shape: UsageShape): void {
    this.modelStart = -1;
    this.modelEnd = -1;
    this.usage = null;
    this.id = null;
    this.valid = true;
    this.#scanner.reset();
    this.#usageCapture.reset();
    this.#idCapture.reset();
    this.#tierCapture.reset();
    this.#hasTier = false;
    this.#usageText = null;
    this.#shape = shape;
  }

  /** Reads `chunk[start, end)`; keeps no reference to it. */
  push(chunk: Bytes, start: number, end: number): void {
    if (!this.valid || start >= end) return;
    const scanner = this.#scanner;
    const offset = scanner.length;
    scanner.push(chunk, start, end);
    this.#locateModel(chunk, start, offset);
    if (this.#shape !== 'none') {
      this.#readUsage(chunk, start, offset);
      if (scanner.valueStart(TIER) !== -1) this.#readTier(chunk, start, end, offset);
    }
    if (this.#shape === 'openai-responses' && this.id === null) {
      this.#idCapture.take(scanner, chunk, start, offset);
      this.id = parseText(this.#idCapture.text);
    }
    if (scanner.failure !== null) this.#invalidate();
  }

  /** The reply is over. */
  finish(): void {
    this.#scanner.finish();
    if (this.#scanner.failure !== null) this.#invalidate();
    if (this.#hasTier && this.usage !== null) this.#applyTier(this.usage);
  }

  #locateModel(chunk: Bytes, start: number, offset: number): void {
    const modelStart = this.#scanner.valueStart(MODEL);
    if (modelStart === -1) return;
    if (modelStart >= offset) this.modelStart = chunk[start + modelStart - offset] === QUOTE ? modelStart : -1;
    if (this.modelStart !== -1) this.modelEnd = this.#scanner.valueEnd(MODEL);
  }

  #readUsage(chunk: Bytes, start: number, offset: number): void {
    this.#usageCapture.take(this.#scanner, chunk, start, offset);
    const { text } = this.#usageCapture;
    if (text === this.#usageText) return;
    this.#usageText = text;
    this.usage = text === null ? null : readTokenUsage(parseJson(text), this.#shape);
  }

  #readTier(chunk: Bytes, start: number, end: number, offset: number): void {
    const tierStart = this.#scanner.valueStart(TIER);
    if (tierStart >= offset) {
      const letter = start + tierStart - offset + 1;
      this.#hasTier = letter >= end || chunk[letter] !== LETTER_D;
    }
    if (this.#hasTier) this.#tierCapture.take(this.#scanner, chunk, start, offset);
  }

  #applyTier(usage: TokenUsage): void {
    const tier = serviceTierOf(parseText(this.#tierCapture.text));
    if (tier !== null) this.usage = withServiceTier(usage, tier);
  }

  /** A name of which only the beginning came has no place any more, or who waits for its end would wait forever. */
  #invalidate(): void {
    this.valid = false;
    if (this.modelEnd === -1) this.modelStart = -1;
  }
}
