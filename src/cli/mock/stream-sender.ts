import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { Answer } from './mock-router.ts';
import type { StreamReply } from './reply-plan.ts';
import type { ReplyTemplate } from './reply-template.ts';
import { breakOff, type Outcome, type SendingReply } from './sending-reply.ts';

/** Frames of an unpaced stream are gathered up to this size for one write. */
const WRITE_BYTES = 64 * 1024;
const LAST_CHUNK = '0\r\n\r\n';

interface StreamFraming {
  readonly head: string;
  readonly isChunked: boolean;
  readonly done: (outcome: Outcome) => void;
}

/** Sends an event stream frame by frame, at its pace, no faster than it is taken, stamping each frame as it goes. */
export class StreamSender implements SendingReply {
  readonly #socket: Socket;
  readonly #answer: Answer;
  readonly #plan: StreamReply;
  readonly #framing: StreamFraming;
  #next = 0;
  #timer: NodeJS.Timeout | null = null;
  #breaking: SendingReply | null = null;
  #isCancelled = false;
  readonly #resume = (): void => this.#send();

  constructor(socket: Socket, answer: Answer, framing: StreamFraming) {
    if (answer.plan.kind !== 'stream') throw new TypeError('not a stream');
    this.#socket = socket;
    this.#answer = answer;
    this.#plan = answer.plan;
    this.#framing = framing;
    this.#start();
  }

  cancel(): void {
    this.#isCancelled = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#socket.off('drain', this.#resume);
    this.#breaking?.cancel();
  }

  #start(): void {
    const { settings } = this.#answer;
    const { head } = this.#framing;
    if (settings.fault === 'gzip') {
      const frames = [...this.#plan.opening, ...this.#plan.deltas, ...this.#plan.closing];
      const body = gzipSync(frames.map((frame) => frame.render(this.#answer.nonce)).join(''));
      this.#socket.write(head.replace('\r\n\r\n', '\r\ncontent-encoding: gzip\r\n\r\n'), 'latin1');
      this.#socket.write(this.#frame(body.toString('latin1')), 'latin1');
      this.#finish('gzip');
      return;
    }
    if (settings.fault === 'head-only') {
      this.#socket.write(head, 'latin1');
      return;
    }
    const comment = settings.fault === 'comments' ? this.#render([this.#plan.comment]) : '';
    if (settings.fault === 'error-first') {
      this.#socket.write(head + this.#render([this.#plan.error]), 'latin1');
      this.#finish('error-first');
      return;
    }
    this.#send(head + comment + this.#render(this.#plan.opening));
  }

  /** Sends the next frame, or as many as one write takes when there is no pace. */
  #send(before = ''): void {
    const { deltas, closing } = this.#plan;
    const { tokenIntervalMs } = this.#answer.settings;
    const stopAt = this.#stopAt();
    let out = before;
    while (this.#next < stopAt) {
      out += this.#render([deltas[this.#next++] as ReplyTemplate]);
      if (tokenIntervalMs > 0 || out.length >= WRITE_BYTES) break;
    }
    if (this.#next >= stopAt) {
      if (stopAt < deltas.length || this.#isBrokenOff()) this.#breakOff(out);
      else {
        this.#socket.write(out + this.#render(closing), 'latin1');
        this.#finish(this.#answer.settings.fault ?? 'sent');
      }
      return;
    }
    const isTaken = this.#socket.write(out, 'latin1');
    if (this.#isCancelled) return;
    if (tokenIntervalMs > 0) this.#timer = setTimeout(this.#resume, tokenIntervalMs);
    else if (isTaken) setImmediate(() => this.#isCancelled || this.#send());
    else this.#socket.once('drain', this.#resume);
  }

  #isBrokenOff(): boolean {
    const { fault } = this.#answer.settings;
    return fault === 'half' || fault === 'close-mid' || fault === 'reset-mid' || fault === 'error-mid';
  }

  #stopAt(): number {
    const { length } = this.#plan.deltas;
    return this.#isBrokenOff() ? length >> 1 : length;
  }

  #breakOff(out: string): void {
    const { fault } = this.#answer.settings;
    if (fault === 'error-mid') {
      this.#socket.write(out + this.#render([this.#plan.error]), 'latin1');
      this.#finish('error-mid');
      return;
    }
    this.#socket.write(out, 'latin1');
    if (fault === 'close-mid' || fault === 'reset-mid') {
      this.#breaking = breakOff(this.#socket, fault, this.#framing.done);
    }
  }

  #finish(outcome: Outcome): void {
    if (this.#framing.isChunked) {
      this.#socket.write(LAST_CHUNK, 'latin1');
    } else {
      this.#socket.end();
    }
    this.#framing.done(outcome);
  }

  #render(frames: readonly ReplyTemplate[]): string {
    let out = '';
    for (const frame of frames) out += this.#frame(frame.render(this.#answer.nonce));
    return out;
  }

  #frame(text: string): string {
    return this.#framing.isChunked ? `${text.length.toString(16)}\r\n${text}\r\n` : text;
  }
}
