import { allocateBytes, type Bytes } from '../../base/bytes.ts';
import { SseScanner } from '../../base/sse-scanner.ts';
import type { TokenUsage } from '../usage/token-usage.ts';
import { OversizeEventReader } from './oversize-event-reader.ts';
import { StreamEventReader, type StreamReplyOptions } from './stream-event-reader.ts';

/** A longer event is relayed as it is, and only its usage is looked for. */
export const MAX_EDITED_EVENT_BYTES = 1024 * 1024;

const FIRST_CARRY_BYTES = 2048;
/** A carry buffer that was relayed belongs to the socket; one that wasn't is used again up to this size. */
const MAX_KEPT_CARRY_BYTES = 64 * 1024;

/**
 * Reads a provider's event stream and says what of it may be relayed. Output depends only on the bytes, not on how they
 * were cut into chunks. While an event may have to be edited, it is held until it is complete; otherwise bytes go through
 * at once, and a bounded copy of an event that is cut by the end of a chunk is kept for reading.
 */
export class StreamReplyReader {
  readonly #sse: SseScanner;
  readonly #events: StreamEventReader;
  readonly #oversize: OversizeEventReader;
  /** Bytes of the event that the end of a chunk cut; its first byte was held back, or was relayed at once. */
  #carry: Bytes | null;
  #carryLength: number;
  #isPartial: boolean;
  #isHeld: boolean;
  #isOversize: boolean;
  #lastWasDropped: boolean;
  /** In the bytes being pushed: from here on they are unchanged and not yet in `out`. */
  #run: number;

  constructor() {
    this.#sse = new SseScanner();
    this.#events = new StreamEventReader();
    this.#oversize = new OversizeEventReader();
    this.#carry = null;
    this.#carryLength = 0;
    this.#isPartial = false;
    this.#isHeld = false;
    this.#isOversize = false;
    this.#lastWasDropped = false;
    this.#run = 0;
  }

  reset(options: StreamReplyOptions): void {
    this.#sse.reset();
    this.#events.reset(options);
    this.#carryLength = 0;
    this.#isPartial = false;
    this.#isHeld = false;
    this.#isOversize = false;
    this.#lastWasDropped = false;
  }

  /** Latest known. */
  get usage(): TokenUsage | null {
    return this.#events.usage;
  }

  /** The first event that is neither comment nor ping; `error` when it reports one. */
  get firstEvent(): 'none' | 'data' | 'error' {
    return this.#events.firstEvent;
  }

  /** Some event reported an error. */
  get sawError(): boolean {
    return this.#events.sawError;
  }

  /** The provider said that the stream is over: `[DONE]`, `message_stop`, `response.completed`, `failed`, `incomplete`. */
  get done(): boolean {
    return this.#events.done;
  }

  /** Of the shape `openai-responses`. */
  get responseId(): string | null {
    return this.#events.responseId;
  }

  /** Events with data, dropped ones included. */
  get eventCount(): number {
    return this.#events.eventCount;
  }

  /** Reads `chunk[start, end)` and appends to `out` what may be relayed now: pieces of `chunk`, and few small others. */
  push(chunk: Bytes, start: number, end: number, out: Bytes[]): void {
    if (start >= end) return;
    const bytes = end < chunk.length ? chunk.subarray(0, end) : chunk;
    this.#sse.begin();
    let i = start;
    this.#run = start;
    if (this.#sse.takesLineFeed(bytes[i]!)) {
      i += 1;
      if (this.#lastWasDropped) this.#run = i;
    }
    if (this.#isPartial) {
      const eventEnd = this.#sse.findEnd(bytes, i, end);
      this.#continueEvent(bytes, i, eventEnd, out);
      i = eventEnd === -1 ? end : eventEnd;
    }
    while (i < end) {
      const eventEnd = this.#sse.scanEvent(bytes, i, end);
      if (eventEnd === -1) break;
      this.#relayEvent(bytes, i, eventEnd, out);
      i = eventEnd;
    }
    let runEnd = end;
    if (i < end) {
      this.#startPartial(bytes, i);
      if (this.#isHeld) runEnd = i;
    }
    const run = this.#run;
    if (run < runEnd) out.push(run === 0 && runEnd === chunk.length ? chunk : bytes.subarray(run, runEnd));
  }

  /** The stream is over: appends what was held back. An event without its empty line is read as if it had one. */
  finish(out: Bytes[]): void {
    if (!this.#isPartial) return;
    this.#endPartial(out);
  }

  /** `#run` moves on with what is appended to `out`. */
  #relayEvent(bytes: Bytes, start: number, end: number, out: Bytes[]): void {
    const events = this.#events;
    if (end - start > MAX_EDITED_EVENT_BYTES) {
      // As if it had come in pieces.
      this.#lastWasDropped = false;
      this.#oversize.start(events.shape, bytes.subarray(0, end), this.#sse);
      events.readOversize(this.#oversize);
      return;
    }
    const verdict = events.read(bytes, this.#sse);
    this.#lastWasDropped = verdict === 'drop';
    switch (verdict) {
      case 'keep':
        return;
      case 'drop':
        if (this.#run < start) out.push(bytes.subarray(this.#run, start));
        this.#run = end;
        return;
      case 'splice':
        out.push(bytes.subarray(this.#run, events.modelStart), events.replyModel!);
        this.#run = events.modelEnd;
        return;
      default:
        return verdict satisfies never;
    }
  }

  #startPartial(bytes: Bytes, start: number): void {
    this.#isPartial = true;
    this.#isHeld = this.#events.mayEdit;
    this.#isOversize = false;
    this.#carryLength = 0;
    this.#append(bytes, start, bytes.length);
  }

  #continueEvent(bytes: Bytes, start: number, eventEnd: number, out: Bytes[]): void {
    const to = eventEnd === -1 ? bytes.length : eventEnd;
    const wasHeld = this.#isHeld;
    if (this.#isOversize) {
      this.#oversize.push(bytes, start, to);
    } else {
      this.#append(bytes, start, to);
      if (this.#carryLength > MAX_EDITED_EVENT_BYTES) this.#startOversize(out);
    }
    if (eventEnd !== -1) this.#endPartial(out);
    if (wasHeld) this.#run = to; // these bytes went the way of the carry
  }

  #append(bytes: Bytes, start: number, end: number): void {
    const needed = this.#carryLength + end - start;
    let carry = this.#carry;
    if (carry === null || carry.length < needed) {
      const grown = allocateBytes(Math.max(FIRST_CARRY_BYTES, needed * 2));
      carry?.copy(grown, 0, 0, this.#carryLength);
      carry = grown;
      this.#carry = grown;
    }
    bytes.copy(carry, this.#carryLength, start, end);
    this.#carryLength = needed;
  }

  #takeCarry(): Bytes {
    const carry = this.#carry!.subarray(0, this.#carryLength);
    if (this.#isHeld || carry.length > MAX_KEPT_CARRY_BYTES) this.#carry = null;
    this.#carryLength = 0;
    return carry;
  }

  #startOversize(out: Bytes[]): void {
    const carry = this.#takeCarry();
    if (this.#isHeld) out.push(carry);
    this.#sse.scanWhole(carry, carry.length);
    this.#isOversize = true;
    this.#isHeld = false;
    this.#oversize.start(this.#events.shape, carry, this.#sse);
  }

  /** The partial event is complete, or nothing more of it will come. */
  #endPartial(out: Bytes[]): void {
    this.#isPartial = false;
    if (this.#isOversize) {
      this.#lastWasDropped = false;
      this.#events.readOversize(this.#oversize);
      return;
    }
    const carry = this.#takeCarry();
    this.#sse.scanWhole(carry, carry.length);
    if (!this.#isHeld) {
      this.#lastWasDropped = false;
      this.#events.read(carry, this.#sse);
      return;
    }
    const { length } = carry;
    this.#run = 0;
    this.#relayEvent(carry, 0, length, out);
    if (this.#run < length) out.push(this.#run === 0 ? carry : carry.subarray(this.#run));
  }
}
