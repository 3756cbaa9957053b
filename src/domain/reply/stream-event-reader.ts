import type { Bytes } from '../../base/bytes.ts';
import { JsonKeyTable } from '../../base/json-key-table.ts';
import { JsonObjectScanner } from '../../base/json-object-scanner.ts';
import type { SseScanner } from '../../base/sse-scanner.ts';
import type { UsageShape } from '../endpoints.ts';
import { type ServiceTier, serviceTierOf } from '../pricing/price.ts';
import { mergeUsageFields, readTokenUsage, type TokenUsage, withServiceTier } from '../usage/token-usage.ts';
import type { OversizeEventReader } from './oversize-event-reader.ts';
import { parseJson, parseText } from './parse-json.ts';

export interface StreamReplyOptions {
  readonly shape: UsageShape;
  /**
   * JSON string source, quotes included, that takes the place of the model's name in each event: top-level `model`
   * (OpenAI), `message.model` (Anthropic), `response.model` (Responses). Null leaves the provider's.
   */
  readonly replyModel: Bytes | null;
  /** Take out chunks with empty `choices` and a `usage` object: the gateway asked for them, the client didn't. */
  readonly dropUsageOnlyEvents: boolean;
}

/** What becomes of an event: relayed as it is, taken out, or relayed with `[modelStart, modelEnd)` replaced. */
export type EventVerdict = 'keep' | 'drop' | 'splice';

const EVENT_KEYS = new JsonKeyTable(
  ['model', 'usage', 'choices', 'error', 'type', 'object', 'message', 'response', 'service_tier'],
  'lenient',
);
const MODEL = 0;
const USAGE = 1;
const CHOICES = 2;
const ERROR = 3;
const TYPE = 4;
const OBJECT = 5;
const MESSAGE = 6;
const RESPONSE = 7;
const TIER = 8;

/** Keys of the object inside a `message_start` or `response.…` event. */
const NESTED_KEYS = new JsonKeyTable(['model', 'usage', 'id', 'service_tier'], 'lenient');
const NESTED_MODEL = 0;
const NESTED_USAGE = 1;
const NESTED_ID = 2;
const NESTED_TIER = 3;

const MAX_USAGE_BYTES = 64 * 1024;
const MAX_ID_BYTES = 1024;
const MAX_TYPE_BYTES = 64;
const MAX_PREFIX_BYTES = 512;

const QUOTE = 0x22;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;

const DONE = ascii('[DONE]');
const QUOTED_ERROR = ascii('"error"');
/** Events that begin so carry text, and nothing that is read here. They are nearly all of a stream. */
const CONTENT_BLOCK = ascii('{"type":"content_block_');
const RESPONSE_TYPE = ascii('{"type":"response.');
/** First letters of response types without a response object: output_…, reasoning_…, refusal, web_search_call, mcp_…. */
const PLAIN_RESPONSE_LETTERS = ascii('orwm');
/** Types after which nothing more is to come. */
const LAST_TYPES: ReadonlySet<string> = new Set([
  'message_stop',
  'response.completed',
  'response.failed',
  'response.incomplete',
  'image_generation.completed',
  'image_edit.completed',
]);

/** Reads the events of one stream, one at a time and each in one piece. */
export class StreamEventReader {
  shape: UsageShape;
  replyModel: Bytes | null;
  /** A later event may still have to be edited. Once false it stays so. */
  mayEdit: boolean;
  /** After the verdict `splice`: the model's name, quotes included, in the bytes read. */
  modelStart: number;
  modelEnd: number;
  firstEvent: 'none' | 'data' | 'error';
  sawError: boolean;
  done: boolean;
  responseId: string | null;
  eventCount: number;
  readonly #scanner: JsonObjectScanner;
  #nested: JsonObjectScanner | null;
  /** The bytes of the event before its `choices`, as `#scanner` last scanned them. */
  readonly #prefix: Uint8Array;
  #prefixLength: number;
  #dropsUsageOnly: boolean;
  #usage: TokenUsage | null;
  /** Source of the newest usage object, not parsed yet: some providers send one in every chunk. */
  #usageText: string | null;
  /** Of the event with that usage. */
  #tier: ServiceTier | null;
  /** Anthropic's usage comes in instalments. */
  #usageFields: unknown;

  constructor() {
    this.shape = 'none';
    this.replyModel = null;
    this.mayEdit = false;
    this.modelStart = -1;
    this.modelEnd = -1;
    this.firstEvent = 'none';
    this.sawError = false;
    this.done = false;
    this.responseId = null;
    this.eventCount = 0;
    this.#scanner = new JsonObjectScanner(EVENT_KEYS);
    this.#nested = null;
    this.#prefix = new Uint8Array(MAX_PREFIX_BYTES);
    this.#prefixLength = 0;
    this.#dropsUsageOnly = false;
    this.#usage = null;
    this.#usageText = null;
    this.#tier = null;
    this.#usageFields = null;
  }

  reset(options: StreamReplyOptions): void {
    this.shape = options.shape;
    this.replyModel = options.replyModel;
    this.#dropsUsageOnly = options.dropUsageOnlyEvents && options.shape === 'openai';
    this.mayEdit = (options.replyModel !== null && options.shape !== 'none') || this.#dropsUsageOnly;
    this.modelStart = -1;
    this.modelEnd = -1;
    this.firstEvent = 'none';
    this.sawError = false;
    this.done = false;
    this.responseId = null;
    this.eventCount = 0;
    this.#prefixLength = 0;
    this.#usage = null;
    this.#usageText = null;
    this.#tier = null;
    this.#usageFields = null;
  }

  /** Of the newest usage object with counts. */
  get usage(): TokenUsage | null {
    if (this.#usageText !== null) {
      const usage = readTokenUsage(parseJson(this.#usageText), this.shape);
      this.#usage = usage === null || this.#tier === null ? usage : withServiceTier(usage, this.#tier);
      this.#usageText = null;
    }
    return this.#usage;
  }

  /** Reads the event that `sse` scanned last, in `bytes`. */
  read(bytes: Bytes, sse: SseScanner): EventVerdict {
    if (sse.dataLines === 0) return 'keep';
    this.eventCount += 1;
    if (sse.dataLines > 1 || sse.dataStart === sse.dataEnd) {
      // JSON over several lines is rare enough to be left alone; no data at all says nothing.
      if (sse.dataLines > 1) this.#note(isNamed(bytes, sse, 'error'));
      return 'keep';
    }
    if (bytes[sse.dataStart] === OPEN_BRACKET) {
      if (startsWith(bytes, sse.dataStart, DONE)) this.done = true;
      this.#note(false);
      return 'keep';
    }
    switch (this.shape) {
      case 'openai':
        return this.#readOpenai(bytes, sse);
      case 'anthropic':
        return this.#readAnthropic(bytes, sse);
      case 'openai-responses':
        return this.#readResponses(bytes, sse);
      case 'none':
        // Only whether the stream began with an error matters.
        if (this.firstEvent === 'none') this.#note(this.#scan(bytes, sse) && this.#isError(bytes, sse));
        return 'keep';
      default:
        return this.shape satisfies never;
    }
  }

  /** Takes over what could be read of an event that was too long to be kept. */
  readOversize(event: OversizeEventReader): void {
    if (!event.hasData) return;
    this.eventCount += 1;
    this.#note(event.type === 'error' || event.type === 'response.failed');
    if (LAST_TYPES.has(event.type)) this.done = true;
    this.responseId ??= event.responseId;
    if (event.usage !== null) {
      this.#usage = event.usage;
      this.#usageText = null;
    }
  }

  #note(isError: boolean): void {
    if (this.firstEvent === 'none') this.firstEvent = isError ? 'error' : 'data';
    if (isError) this.sawError = true;
  }

  /** @returns whether the data is one JSON object. */
  #scan(bytes: Bytes, sse: SseScanner): boolean {
    const scanner = this.#scanner;
    const { dataStart, dataEnd } = sse;
    // Fast case: chunks of one stream differ from `choices` on only (id, created and model are those of the answer).
    const same = this.#prefixLength;
    if (
      same > 0 &&
      same === scanner.memberStart(CHOICES) &&
      this.#hasPrefix(bytes, dataStart) &&
      scanner.resumeBefore(CHOICES)
    ) {
      scanner.push(bytes, dataStart + same, dataEnd);
      return scanner.complete;
    }
    scanner.reset();
    scanner.push(bytes, dataStart, dataEnd);
    this.#prefixLength = 0;
    if (!scanner.complete) return false;
    const choices = scanner.memberStart(CHOICES);
    if (choices > 0 && choices <= MAX_PREFIX_BYTES) {
      bytes.copy(this.#prefix, 0, dataStart, dataStart + choices);
      this.#prefixLength = choices;
    }
    return true;
  }

  #hasPrefix(bytes: Bytes, start: number): boolean {
    const prefix = this.#prefix;
    const length = this.#prefixLength;
    let i = 0;
    while (i < length && bytes[start + i] === prefix[i]) i += 1;
    return i === length;
  }

  #readOpenai(bytes: Bytes, sse: SseScanner): EventVerdict {
    if (!this.#scan(bytes, sse)) {
      this.#note(isNamed(bytes, sse, 'error'));
      return 'keep';
    }
    this.#note(this.#isError(bytes, sse));
    const scanner = this.#scanner;
    const base = sse.dataStart;
    const usage = scanner.valueStart(USAGE);
    if (usage !== -1 && bytes[base + usage] === OPEN_BRACE) {
      this.#keepUsage(bytes, base + usage, base + scanner.valueEnd(USAGE));
      this.#keepTier(bytes, base, scanner, TIER);
      if (this.#dropsUsageOnly && this.#hasEmptyChoices(bytes, base)) return 'drop';
    }
    return this.#spliceModel(bytes, base, scanner, MODEL);
  }

  #readAnthropic(bytes: Bytes, sse: SseScanner): EventVerdict {
    if (startsWith(bytes, sse.dataStart, CONTENT_BLOCK)) {
      this.#note(false);
      return 'keep';
    }
    if (!this.#scan(bytes, sse)) {
      this.#note(isNamed(bytes, sse, 'error'));
      return 'keep';
    }
    const type = this.#type(bytes, sse.dataStart);
    if (type === 'ping' || isNamed(bytes, sse, 'ping')) return 'keep';
    this.#note(this.#isError(bytes, sse));
    if (type === 'message_stop') this.done = true;
    const scanner = this.#scanner;
    const base = sse.dataStart;
    if (type === 'message_delta' && scanner.found(USAGE)) {
      this.#mergeUsage(bytes, base + scanner.valueStart(USAGE), base + scanner.valueEnd(USAGE));
    }
    if (type !== 'message_start' || !this.#scanNested(bytes, base, MESSAGE)) return 'keep';
    const nested = this.#nested!;
    const nestedBase = base + scanner.valueStart(MESSAGE);
    if (nested.found(NESTED_USAGE)) {
      this.#mergeUsage(bytes, nestedBase + nested.valueStart(NESTED_USAGE), nestedBase + nested.valueEnd(NESTED_USAGE));
    }
    const verdict = this.#spliceModel(bytes, nestedBase, nested, NESTED_MODEL);
    this.mayEdit = false; // no other event names the model
    return verdict;
  }

  #readResponses(bytes: Bytes, sse: SseScanner): EventVerdict {
    const base = sse.dataStart;
    if (
      startsWith(bytes, base, RESPONSE_TYPE) &&
      PLAIN_RESPONSE_LETTERS.includes(bytes[base + RESPONSE_TYPE.length]!)
    ) {
      this.#note(false);
      return 'keep';
    }
    if (!this.#scan(bytes, sse)) {
      this.#note(isNamed(bytes, sse, 'error'));
      return 'keep';
    }
    const scanner = this.#scanner;
    const type = this.#type(bytes, base);
    this.#note(type === 'response.failed' || this.#isError(bytes, sse));
    if (LAST_TYPES.has(type)) this.done = true;
    const usage = scanner.valueStart(USAGE);
    if (usage !== -1 && bytes[base + usage] === OPEN_BRACE) {
      this.#keepUsage(bytes, base + usage, base + scanner.valueEnd(USAGE));
    }
    if (!this.#scanNested(bytes, base, RESPONSE)) return 'keep';
    const nested = this.#nested!;
    const nestedBase = base + scanner.valueStart(RESPONSE);
    const nestedUsage = nested.valueStart(NESTED_USAGE);
    if (nestedUsage !== -1 && bytes[nestedBase + nestedUsage] === OPEN_BRACE) {
      this.#keepUsage(bytes, nestedBase + nestedUsage, nestedBase + nested.valueEnd(NESTED_USAGE));
      this.#keepTier(bytes, nestedBase, nested, NESTED_TIER);
    }
    this.#keepResponseId(bytes, nestedBase);
    return this.#spliceModel(bytes, nestedBase, nested, NESTED_MODEL);
  }

  #isError(bytes: Bytes, sse: SseScanner): boolean {
    const scanner = this.#scanner;
    const error = scanner.valueStart(ERROR);
    // `"error":null` beside real data is no error.
    if (error !== -1 && (bytes[sse.dataStart + error] === OPEN_BRACE || bytes[sse.dataStart + error] === QUOTE))
      return true;
    for (const key of [TYPE, OBJECT]) {
      const value = scanner.valueStart(key);
      if (value !== -1 && startsWith(bytes, sse.dataStart + value, QUOTED_ERROR)) return true;
    }
    return isNamed(bytes, sse, 'error');
  }

  #type(bytes: Bytes, base: number): string {
    const scanner = this.#scanner;
    const start = base + scanner.valueStart(TYPE);
    const end = base + scanner.valueEnd(TYPE);
    if (!scanner.found(TYPE) || bytes[start] !== QUOTE || end - start > MAX_TYPE_BYTES) return '';
    return bytes.latin1Slice(start + 1, end - 1);
  }

  /** Scans the object that is the value of `key`. @returns whether there is one. */
  #scanNested(bytes: Bytes, base: number, key: number): boolean {
    const start = this.#scanner.valueStart(key);
    if (start === -1) return false;
    this.#nested ??= new JsonObjectScanner(NESTED_KEYS);
    this.#nested.reset();
    this.#nested.push(bytes, base + start, base + this.#scanner.valueEnd(key));
    return this.#nested.complete;
  }

  #spliceModel(bytes: Bytes, base: number, scanner: JsonObjectScanner, key: number): EventVerdict {
    const { replyModel } = this;
    const start = base + scanner.valueStart(key);
    const end = base + scanner.valueEnd(key);
    if (replyModel === null || !this.mayEdit || !scanner.found(key) || bytes[start] !== QUOTE) return 'keep';
    if (end - start === replyModel.length && startsWith(bytes, start, replyModel)) return 'keep';
    this.modelStart = start;
    this.modelEnd = end;
    return 'splice';
  }

  #hasEmptyChoices(bytes: Bytes, base: number): boolean {
    const scanner = this.#scanner;
    if (!scanner.found(CHOICES)) return false;
    let i = base + scanner.valueStart(CHOICES);
    if (bytes[i] !== OPEN_BRACKET) return false;
    i += 1;
    while (bytes[i]! <= 0x20) i += 1;
    return bytes[i] === CLOSE_BRACKET;
  }

  #keepUsage(bytes: Bytes, start: number, end: number): void {
    if (end - start > MAX_USAGE_BYTES) return;
    const text = bytes.utf8Slice(start, end);
    if (text.includes('_tokens"')) this.#usageText = text; // an empty object must not make a count forgotten
  }

  #keepTier(bytes: Bytes, base: number, scanner: JsonObjectScanner, key: number): void {
    const start = scanner.valueStart(key);
    const end = scanner.valueEnd(key);
    this.#tier = null;
    if (start === -1 || end - start > MAX_TYPE_BYTES) return;
    this.#tier = serviceTierOf(bytes.latin1Slice(base + start + 1, base + end - 1));
  }

  #mergeUsage(bytes: Bytes, start: number, end: number): void {
    if (end - start > MAX_USAGE_BYTES) return;
    this.#usageFields = mergeUsageFields(this.#usageFields, parseJson(bytes.utf8Slice(start, end)));
    this.#usage = readTokenUsage(this.#usageFields, this.shape);
  }

  #keepResponseId(bytes: Bytes, base: number): void {
    const nested = this.#nested!;
    const start = nested.valueStart(NESTED_ID);
    const end = nested.valueEnd(NESTED_ID);
    if (this.responseId !== null || start === -1 || end - start > MAX_ID_BYTES) return;
    this.responseId = parseText(bytes.utf8Slice(base + start, base + end));
  }
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

function startsWith(bytes: Bytes, start: number, prefix: Uint8Array): boolean {
  let i = 0;
  while (i < prefix.length && bytes[start + i] === prefix[i]) i += 1;
  return i === prefix.length;
}

function isNamed(bytes: Bytes, sse: SseScanner, name: string): boolean {
  return sse.nameEnd - sse.nameStart === name.length && bytes.latin1Slice(sse.nameStart, sse.nameEnd) === name;
}
