import type { Bytes } from '../../base/bytes.ts';
import type { JsonReplyReader } from '../../domain/reply/json-reply-reader.ts';
import type { StreamReplyReader } from '../../domain/reply/stream-reply-reader.ts';
import type { UsageShape } from '../../domain/endpoints.ts';
import type { TokenUsage } from '../../domain/usage/token-usage.ts';
import { HeaderId } from '../../http1/header-id.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import type { AnswerFraming, Exchange } from '../exchange/exchange.ts';
import { controlHeaders, gatewayHeaders, providerHeaders } from './answer-headers.ts';
import { EncodedReplyCopy } from './encoded-reply-copy.ts';
import { mediaType } from './media-type.ts';
import { costLine } from './reply-cost.ts';

/** Before commit at most this much of a reply is held together: it may still turn out to be worth another attempt. */
const MAX_HELD_BYTES = 64 * 1024;

/** A JSON answer whose head tells its cost is held until it is whole, up to this much. */
const MAX_PRICED_BYTES = 256 * 1024;

type RelayMode =
  /** A JSON object: usage is read, `model` may be replaced. */
  | 'json'
  /** `text/event-stream`: the same per event. */
  | 'events'
  /** Anything else: bytes through. */
  | 'raw';

/**
 * Carries one reply from the provider to the client: bytes through, read on the way for usage, `model` spliced. What is
 * to be relayed is gathered in `#held` and leaves once per read of the upstream socket.
 */
export class ReplyRelay {
  readonly mode: RelayMode;
  readonly status: number;
  /** `text/event-stream`, compressed or not: its silences bound it, not its length. */
  readonly isEventStream: boolean;
  readonly #exchange: Exchange;
  readonly #providerHeaders: string;
  readonly #contentLength: number;
  readonly #bodiless: boolean;
  readonly #encoded: EncodedReplyCopy | null;
  readonly #json: JsonReplyReader | null;
  readonly #events: StreamReplyReader | null;
  /** JSON source of the model name the client asked for, or null to leave the reply's. */
  readonly #replyModel: Bytes | null;
  readonly #maxHeldBytes: number;
  #held: Bytes[] = [];
  #heldBytes = 0;
  #hasNotedResponse = false;
  /** What is held beyond the usual stands in the budget of bytes in flight. */
  #isCharged = false;
  /** Offset in the reply's body of the first byte held. */
  #heldFrom = 0;

  constructor(exchange: Exchange, head: ResponseHead) {
    this.#exchange = exchange;
    this.status = head.status;
    this.#providerHeaders = exchange.route.kind === 'admin' ? controlHeaders(head) : providerHeaders(head, exchange);
    this.#contentLength = head.framing === 'length' ? head.contentLength : -1;
    this.#bodiless = head.framing === 'none';
    const shape = usageShape(exchange);
    const encoding = head.headers.text(HeaderId.ContentEncoding);
    const isPlain = encoding === null || encoding.toLowerCase() === 'identity';
    const isOk = head.status >= 200 && head.status < 300;
    this.mode = isPlain && shape !== null ? relayMode(head, isOk) : 'raw';
    this.#encoded = !isPlain && isOk && shape !== null ? new EncodedReplyCopy(encoding, head, shape) : null;
    this.isEventStream = isOk && shape !== null && mediaType(head) === 'text/event-stream';
    this.#replyModel = replyModel(exchange);
    this.#json = this.mode === 'json' ? exchange.connection.replies.json() : null;
    this.#events = this.mode === 'events' ? exchange.connection.replies.stream() : null;
    this.#maxHeldBytes = this.#json !== null && isPriced(exchange) ? MAX_PRICED_BYTES : MAX_HELD_BYTES;
    exchange.streamReader = this.#events;
    this.#json?.reset(shape ?? 'none');
    this.#events?.reset({
      shape: shape ?? 'none',
      replyModel: this.#replyModel,
      dropUsageOnlyEvents: exchange.injectsUsage && exchange.deployment!.spec.injectsUsage,
    });
  }

  /** The stream began with an error event, and nothing has left: another attempt may be made. */
  get beganWithError(): boolean {
    return this.#events !== null && this.#events.firstEvent === 'error' && !this.#exchange.committed;
  }

  /** The first event has come: from here the time between events counts, not the time to the first. */
  get hasBegun(): boolean {
    return this.#events === null || this.#events.firstEvent !== 'none';
  }

  /** The provider said its stream is over, so a lost connection loses nothing. */
  get isOver(): boolean {
    return this.#events !== null && this.#events.done;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** What is held, as text; at most `maxBytes` of it. */
  heldText(maxBytes: number): string {
    const bytes = this.#held.length === 1 ? this.#held[0]! : Buffer.concat(this.#held);
    return bytes.toString('utf8', 0, Math.min(bytes.length, maxBytes));
  }

  body(chunk: Bytes, start: number, end: number): void {
    if (this.#events !== null) {
      const before = this.#held.length;
      this.#events.push(chunk, start, end, this.#held);
      for (let index = before; index < this.#held.length; index += 1) this.#heldBytes += this.#held[index]!.length;
      return;
    }
    this.#json?.push(chunk, start, end);
    this.#encoded?.push(chunk, start, end);
    const piece = start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end);
    if (this.#heldBytes === 0) this.#held = [piece];
    else this.#held.push(piece);
    this.#heldBytes += end - start;
  }

  /**
   * The upstream socket has no more for now: what may leave leaves.
   *
   * @returns false if the client takes no more for now.
   */
  flush(): boolean {
    const exchange = this.#exchange;
    // A client may ask for a response, or cancel it, as soon as it has seen its id.
    if (this.#events !== null) this.#noteResponse(this.#events.responseId);
    if (exchange.committed) return this.#heldBytes === 0 || exchange.continueAnswer(this.#take(false));
    if (this.#mustHold()) return true;
    return this.#commit();
  }

  /** The reply is complete. */
  end(): void {
    const exchange = this.#exchange;
    if (this.#events !== null) {
      const before = this.#held.length;
      this.#events.finish(this.#held);
      for (let index = before; index < this.#held.length; index += 1) this.#heldBytes += this.#held[index]!.length;
    }
    this.#json?.finish();
    this.#readUsage();
    if (exchange.committed) {
      exchange.endAnswer(this.#take(true));
      return;
    }
    // Fast case: the whole reply is at hand and leaves in one write.
    const parts = this.#take(true);
    const cost = this.#json === null && exchange.pieces === null ? '' : costLine(exchange, this.status);
    const headers = this.#providerHeaders + gatewayHeaders(exchange) + cost;
    if (this.#bodiless) {
      const length = this.#contentLength === -1 ? '' : `content-length: ${this.#contentLength}\r\n`;
      exchange.answerBodiless(this.status, headers + length);
    } else {
      exchange.answerWhole(this.status, headers, parts);
    }
  }

  /** The reply will not be completed: what was learnt of usage so far stands. */
  abandon(): void {
    this.#readUsage();
  }

  #mustHold(): boolean {
    if (this.#heldBytes >= this.#maxHeldBytes) return false;
    if (this.#heldBytes > MAX_HELD_BYTES && !this.#isCharged) this.#charge();
    switch (this.mode) {
      case 'json':
        return this.#contentLength <= this.#maxHeldBytes;
      case 'events':
        return this.#events!.firstEvent === 'none';
      case 'raw':
        // An error may still be retried; its body is small. Anything else is committed by its first byte.
        return this.#heldBytes === 0;
      default:
        return this.mode satisfies never;
    }
  }

  #charge(): void {
    this.#isCharged = true;
    this.#exchange.body.chargeCopy(MAX_PRICED_BYTES - MAX_HELD_BYTES);
  }

  #commit(): boolean {
    const exchange = this.#exchange;
    let headers = this.#providerHeaders + gatewayHeaders(exchange);
    // Speech: what it costs is known before it comes.
    if (exchange.pieces !== null && this.mode === 'raw') headers += costLine(exchange, this.status);
    let framing: AnswerFraming = exchange.head.minor === 0 ? 'close' : 'chunked';
    // Splicing a model's name may change the length; nothing else does.
    const mayEdit = this.mode === 'events' || (this.#json !== null && this.#replyModel !== null);
    if (this.#contentLength !== -1 && !mayEdit) {
      framing = 'length';
      headers += `content-length: ${this.#contentLength}\r\n`;
    }
    return exchange.beginAnswer(this.status, headers, framing, this.#take(false));
  }

  /** Hands over what is held, `model` replaced if it lies in it. Without `all` a half-seen model value stays. */
  #take(all: boolean): Bytes[] {
    const json = this.#json;
    const held = this.#held;
    if (json === null || this.#replyModel === null || json.modelStart < this.#heldFrom) {
      this.#heldFrom += this.#heldBytes;
      this.#held = [];
      this.#heldBytes = 0;
      return held;
    }
    if (json.modelEnd === -1) return all ? this.#takeAll() : this.#takeUpTo(json.modelStart);
    const parts: Bytes[] = [];
    sliceParts(held, 0, json.modelStart - this.#heldFrom, parts);
    parts.push(this.#replyModel);
    sliceParts(held, json.modelEnd - this.#heldFrom, this.#heldBytes, parts);
    this.#takeAll();
    return parts;
  }

  #takeAll(): Bytes[] {
    const held = this.#held;
    this.#heldFrom += this.#heldBytes;
    this.#held = [];
    this.#heldBytes = 0;
    return held;
  }

  #takeUpTo(offset: number): Bytes[] {
    const parts: Bytes[] = [];
    const rest: Bytes[] = [];
    const at = offset - this.#heldFrom;
    sliceParts(this.#held, 0, at, parts);
    sliceParts(this.#held, at, this.#heldBytes, rest);
    this.#held = rest;
    this.#heldBytes -= at;
    this.#heldFrom = offset;
    return parts;
  }

  #readUsage(): void {
    const exchange = this.#exchange;
    let usage: TokenUsage | null = null;
    let responseId: string | null = null;
    if (this.#json !== null) {
      ({ usage, id: responseId } = this.#json);
    } else if (this.#events !== null) {
      ({ usage, responseId } = this.#events);
    } else if (this.#encoded !== null) {
      ({ usage, responseId } = this.#encoded.read());
    }
    if (usage !== null) exchange.usage = usage;
    this.#noteResponse(responseId);
  }

  /** Remembers who made a response, and where. Once. */
  #noteResponse(responseId: string | null): void {
    const { deployment, key, worker } = this.#exchange;
    if (responseId === null || this.#hasNotedResponse || deployment === null || key === null) return;
    this.#hasNotedResponse = true;
    worker.responses.add(responseId, { deploymentId: deployment.spec.id, owner: key.owner });
    worker.host.shareResponse(responseId, deployment.spec.id, key.owner);
  }
}

/** May the answer have a cost? */
function isPriced({ deployment }: Exchange): boolean {
  return deployment !== null && deployment.prices !== null;
}

function usageShape(exchange: Exchange): UsageShape | null {
  const { route } = exchange;
  if (route.kind !== 'llm') return null;
  return route.endpoint.usage;
}

function relayMode(head: ResponseHead, isOk: boolean): RelayMode {
  if (!isOk) return 'raw';
  const type = mediaType(head);
  if (type === 'application/json') return 'json';
  return type === 'text/event-stream' ? 'events' : 'raw';
}

/** The name that the reply should carry: the client's, unless it was told otherwise or another group served it. */
function replyModel(exchange: Exchange): Bytes | null {
  if (exchange.snapshot.settings.replyModel !== 'requested') return null;
  if (exchange.model === null || exchange.fallbackCount > 0) return null;
  return exchange.connection.replies.modelSource(exchange.model);
}

/** Appends bytes `[start, end)` of `parts`, taken as one sequence, to `out`. */
function sliceParts(parts: readonly Bytes[], start: number, end: number, out: Bytes[]): void {
  let offset = 0;
  for (const part of parts) {
    const from = Math.max(start - offset, 0);
    const to = Math.min(end - offset, part.length);
    if (from < to) out.push(from === 0 && to === part.length ? part : part.subarray(from, to));
    offset += part.length;
    if (offset >= end) return;
  }
}
