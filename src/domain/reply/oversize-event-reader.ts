import type { Bytes } from '../../base/bytes.ts';
import { JsonKeyTable } from '../../base/json-key-table.ts';
import { JsonObjectScanner } from '../../base/json-object-scanner.ts';
import type { SseScanner } from '../../base/sse-scanner.ts';
import type { UsageShape } from '../endpoints.ts';
import type { TokenUsage } from '../usage/token-usage.ts';
import { JsonReplyReader } from './json-reply-reader.ts';
import { JsonValueCapture } from './json-value-capture.ts';
import { parseText } from './parse-json.ts';

const OUTER_KEYS = new JsonKeyTable(['type', 'response'], 'lenient');
const TYPE = 0;
const RESPONSE = 1;
const MAX_TYPE_BYTES = 64;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * Reads the usage out of one event that is too long to be kept, piece by piece as it passes: images in a
 * `response.completed` or `image_generation.completed`, with the usage behind megabytes of base64.
 */
export class OversizeEventReader {
  hasData: boolean;
  #type: string;
  readonly #outer: JsonObjectScanner;
  readonly #typeCapture: JsonValueCapture;
  /** The event's own object, and the one under its `response`. */
  readonly #event: JsonReplyReader;
  readonly #response: JsonReplyReader;
  /** The data line is still open; false too if there is none to read. */
  #isOpen: boolean;

  constructor() {
    this.hasData = false;
    this.#type = '';
    this.#outer = new JsonObjectScanner(OUTER_KEYS);
    this.#typeCapture = new JsonValueCapture(TYPE, MAX_TYPE_BYTES);
    this.#event = new JsonReplyReader();
    this.#response = new JsonReplyReader();
    this.#isOpen = false;
  }

  /** The event's type, empty if it has none. */
  get type(): string {
    return this.#type;
  }

  get usage(): TokenUsage | null {
    return this.#response.usage ?? this.#event.usage;
  }

  get responseId(): string | null {
    return this.#response.id;
  }

  /** Begins with what came of the event so far, as `sse` has scanned it. */
  start(shape: UsageShape, bytes: Bytes, sse: SseScanner): void {
    this.hasData = sse.dataLines > 0;
    this.#type = '';
    this.#outer.reset();
    this.#typeCapture.reset();
    this.#event.reset(shape);
    this.#response.reset(shape);
    this.#isOpen = sse.dataLines === 1;
    if (this.#isOpen) this.push(bytes, sse.dataStart, bytes.length);
  }

  push(bytes: Bytes, start: number, end: number): void {
    if (!this.#isOpen) return;
    let to = start;
    while (to < end && bytes[to] !== LINE_FEED && bytes[to] !== CARRIAGE_RETURN) to += 1;
    this.#isOpen = to === end;
    if (start === to) return;
    const offset = this.#outer.length;
    this.#outer.push(bytes, start, to);
    this.#typeCapture.take(this.#outer, bytes, start, offset);
    this.#type = parseText(this.#typeCapture.text) ?? '';
    this.#event.push(bytes, start, to);
    this.#pushResponse(bytes, start, offset);
  }

  #pushResponse(bytes: Bytes, start: number, offset: number): void {
    const valueStart = this.#outer.valueStart(RESPONSE);
    if (valueStart === -1) return;
    const valueEnd = this.#outer.valueEnd(RESPONSE);
    const from = Math.max(valueStart, offset);
    const to = valueEnd === -1 ? this.#outer.length : valueEnd;
    if (from < to) this.#response.push(bytes, start + from - offset, start + to - offset);
  }
}
