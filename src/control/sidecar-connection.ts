import type { Socket } from 'node:net';
import { invariant } from '../base/invariant.ts';
import {
  CONTROL_PROTOCOL,
  type KeyLookupMessage,
  MAX_FRAME_BYTES,
  type SnapshotAppliedMessage,
  type ToControl,
} from '../contract/control-messages.ts';
import { encodeFrame, FrameDecoder, FrameError } from '../contract/frame-codec.ts';
import type { Logger } from '../runtime/logger.ts';

/** A sidecar says hello as soon as it is connected. */
const HELLO_TIMEOUT_MS = 5000;

export interface SidecarStatus {
  readonly pid: number;
  readonly version: string;
  readonly connectedAtMs: number;
  /** Version of the snapshot that all its threads serve by; null before it said so. */
  readonly snapshotVersion: string | null;
  readonly blockedMs: number;
}

export interface SidecarHandler {
  /** The sidecar is one that we understand: time for snapshot and keys. */
  onHello(connection: SidecarConnection): void;
  onKeyLookup(connection: SidecarConnection, message: KeyLookupMessage): void;
  onResendKeys(connection: SidecarConnection): void;
  onSnapshotApplied(connection: SidecarConnection, message: SnapshotAppliedMessage): void;
  onClose(connection: SidecarConnection): void;
}

/** One sidecar on the control socket. `waiting` for its hello → `ready` → `closed`, which is final. */
export class SidecarConnection {
  readonly #socket: Socket;
  readonly #handler: SidecarHandler;
  readonly #logger: Logger;
  readonly #decoder = new FrameDecoder<ToControl>();
  readonly #connectedAtMs: number;
  readonly #helloTimer: NodeJS.Timeout;
  #state: 'waiting' | 'ready' | 'closed' = 'waiting';
  #pid = 0;
  #version = '';
  #snapshotVersion: string | null = null;
  #blockedMs = 0;

  constructor(socket: Socket, handler: SidecarHandler, version: string, logger: Logger) {
    this.#socket = socket;
    this.#handler = handler;
    this.#logger = logger;
    this.#connectedAtMs = Date.now();
    this.#helloTimer = setTimeout(() => this.#refuse('no hello within 5 s'), HELLO_TIMEOUT_MS);
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', (error) => logger.warn('control connection failed', { reason: error.message }));
    socket.on('close', () => this.#onClose());
    const hello = { type: 'hello', protocol: CONTROL_PROTOCOL, role: 'control', pid: process.pid, version } as const;
    socket.write(encodeFrame(hello));
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  get status(): SidecarStatus {
    return {
      pid: this.#pid,
      version: this.#version,
      connectedAtMs: this.#connectedAtMs,
      snapshotVersion: this.#snapshotVersion,
      blockedMs: this.#blockedMs,
    };
  }

  /** Frames wait in memory for a sidecar that does not read; beyond the bound it has to come again. */
  send(frame: Uint8Array): void {
    if (this.#state === 'closed') return;
    this.#socket.write(frame);
    if (this.#socket.writableLength > MAX_FRAME_BYTES) {
      this.#logger.error('a sidecar does not read what it is sent: disconnected', { pid: this.#pid });
      this.#socket.destroy();
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #onData(chunk: Uint8Array | string): void {
    invariant(typeof chunk !== 'string', 'the control socket has no encoding set');
    try {
      for (const message of this.#decoder.push(chunk)) this.#onMessage(message);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#refuse(error.message);
    }
  }

  #onMessage(message: ToControl): void {
    if (this.#state === 'closed') return;
    if (this.#state === 'waiting' && message.type !== 'hello' && message.type !== 'refused') {
      this.#refuse('the first message must be hello');
      return;
    }
    switch (message.type) {
      case 'hello':
        this.#onHello(message.protocol, message.pid, message.version);
        break;
      case 'refused':
        this.#logger.error('a sidecar refuses this control plane', { reason: message.reason });
        this.#socket.destroy();
        break;
      case 'key-lookup':
        this.#handler.onKeyLookup(this, message);
        break;
      case 'resend-keys':
        this.#handler.onResendKeys(this);
        break;
      case 'snapshot-applied':
        this.#snapshotVersion = message.version;
        this.#blockedMs = message.blockedMs;
        this.#handler.onSnapshotApplied(this, message);
        break;
      default:
        message satisfies never; // a later peer of the same protocol may say more: not ours to understand
    }
  }

  #onHello(protocol: number, pid: number, version: string): void {
    if (protocol !== CONTROL_PROTOCOL) {
      this.#refuse(
        `this control plane speaks control protocol ${CONTROL_PROTOCOL}, the sidecar (${version}) ${protocol}`,
      );
      return;
    }
    if (this.#state !== 'waiting') return;
    clearTimeout(this.#helloTimer);
    this.#pid = pid;
    this.#version = version;
    this.#state = 'ready';
    this.#handler.onHello(this);
  }

  #refuse(reason: string): void {
    if (this.#state === 'closed') return;
    this.#logger.error('control connection refused', { reason });
    this.#socket.end(encodeFrame({ type: 'refused', reason }));
    this.#end();
  }

  #onClose(): void {
    this.#end();
    this.#handler.onClose(this);
  }

  #end(): void {
    clearTimeout(this.#helloTimer);
    this.#state = 'closed';
  }
}
