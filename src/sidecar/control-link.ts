import { connect, type Socket } from 'node:net';
import { CONTROL_PROTOCOL, type ToControl, type ToSidecar } from '../contract/control-messages.ts';
import { encodeFrame, FrameDecoder } from '../contract/frame-codec.ts';
import type { Logger } from '../runtime/logger.ts';

const FIRST_RETRY_MS = 10;
/** A try costs a few microseconds, and until the link is up an unknown key is a 503. */
const MAX_RETRY_MS = 100;
/** Of another protocol: only a new version of either side helps. */
const REFUSED_RETRY_MS = 2_000;

export interface ControlLinkListener {
  onControlConnected(): void;
  onControlLost(): void;
  /** Any message but the handshake's own. */
  onControlMessage(message: ToSidecar): void;
}

/** The sidecar's end of control.sock: connects, and connects again for as long as it is wanted. */
export class ControlLink {
  readonly #path: string;
  readonly #version: string;
  readonly #listener: ControlLinkListener;
  readonly #logger: Logger;
  #socket: Socket | null = null;
  #retry: NodeJS.Timeout | null = null;
  #retryMs = FIRST_RETRY_MS;
  #isUp = false;
  #isClosed = false;

  constructor(path: string, version: string, listener: ControlLinkListener, logger: Logger) {
    this.#path = path;
    this.#version = version;
    this.#listener = listener;
    this.#logger = logger;
  }

  open(): void {
    const socket = connect(this.#path);
    const decoder = new FrameDecoder<ToSidecar>();
    this.#socket = socket;
    socket.on('connect', () => {
      this.#send({
        type: 'hello',
        protocol: CONTROL_PROTOCOL,
        role: 'sidecar',
        pid: process.pid,
        version: this.#version,
      });
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const message of decoder.push(chunk)) this.#onMessage(message);
      } catch (error) {
        this.#logger.error('control channel: not understood, connecting again', { error: String(error) });
        socket.destroy();
      }
    });
    socket.on('error', () => {
      // 'close' follows.
    });
    socket.on('close', () => {
      this.#onClose();
    });
  }

  /** @returns false if the control plane is away. */
  send(message: ToControl): boolean {
    if (!this.#isUp) return false;
    this.#send(message);
    return true;
  }

  close(): void {
    this.#isClosed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#socket?.destroy();
  }

  #send(message: ToControl): void {
    this.#socket?.write(encodeFrame(message));
  }

  #onMessage(message: ToSidecar): void {
    if (message.type === 'refused') {
      this.#logger.error('the control plane refused this sidecar', { reason: message.reason });
      this.#retryMs = REFUSED_RETRY_MS;
      this.#socket?.destroy();
      return;
    }
    if (message.type === 'hello') {
      if (message.protocol !== CONTROL_PROTOCOL) {
        const reason = `control protocol ${message.protocol} is not ${CONTROL_PROTOCOL}, which this sidecar speaks: start both from one version`;
        this.#send({ type: 'refused', reason });
        this.#logger.error('refused the control plane', { reason });
        this.#retryMs = REFUSED_RETRY_MS;
        this.#socket?.end();
        return;
      }
      this.#isUp = true;
      this.#retryMs = FIRST_RETRY_MS;
      this.#listener.onControlConnected();
      return;
    }
    this.#listener.onControlMessage(message);
  }

  #onClose(): void {
    const wasUp = this.#isUp;
    this.#isUp = false;
    this.#socket = null;
    if (this.#isClosed) return;
    if (wasUp) this.#listener.onControlLost();
    this.#retry = setTimeout(() => {
      this.open();
    }, this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS);
  }
}
