import { createServer, type Server } from 'node:net';
import type { KeyLookupMessage, SnapshotAppliedMessage, ToSidecar } from '../contract/control-messages.ts';
import { encodeFrame } from '../contract/frame-codec.ts';
import type { KeyRecord } from '../contract/key-record.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import type { Logger } from '../runtime/logger.ts';
import { SidecarConnection, type SidecarHandler, type SidecarStatus } from './sidecar-connection.ts';
import { listenOnSocket } from './unix-socket.ts';

/** Where sidecars' keys come from. */
export interface KeySource {
  /** For a sidecar that knows nothing. */
  messages(): readonly ToSidecar[];
  /** null = there is no such key. Rejects when that can't be known. */
  find(hash: string): Promise<KeyRecord | null>;
}

/** The listening end of the control socket: every sidecar has the current snapshot and keys, and hears of changes. */
export class ControlServer implements SidecarHandler {
  readonly #server: Server;
  readonly #logger: Logger;
  readonly #keys: KeySource;
  readonly #connections = new Set<SidecarConnection>();
  #snapshotFrame: Uint8Array;

  constructor(snapshot: Snapshot, keys: KeySource, version: string, logger: Logger) {
    this.#logger = logger;
    this.#keys = keys;
    this.#snapshotFrame = encodeFrame({ type: 'snapshot', snapshot });
    this.#server = createServer((socket) => {
      this.#connections.add(new SidecarConnection(socket, this, version, logger));
    });
  }

  async listen(path: string): Promise<void> {
    await listenOnSocket(this.#server, path);
  }

  get sidecars(): readonly SidecarStatus[] {
    return [...this.#connections].filter((connection) => connection.isReady).map((connection) => connection.status);
  }

  /** More to say to each sidecar that connects; null = nothing. */
  greeting: () => ToSidecar | null = () => null;

  publishSnapshot(snapshot: Snapshot): void {
    this.#snapshotFrame = encodeFrame({ type: 'snapshot', snapshot });
    this.#sendToAll(this.#snapshotFrame);
  }

  /** Something of the keys or budgets. */
  send(message: ToSidecar): void {
    this.#sendToAll(encodeFrame(message));
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.close();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }

  onHello(connection: SidecarConnection): void {
    const { pid, version } = connection.status;
    this.#logger.info('sidecar connected', { pid, version });
    connection.send(this.#snapshotFrame);
    this.onResendKeys(connection);
    const more = this.greeting();
    if (more !== null) connection.send(encodeFrame(more));
  }

  onKeyLookup(connection: SidecarConnection, { id, hash }: KeyLookupMessage): void {
    const answer = (record: KeyRecord | null, failed: boolean): void => {
      connection.send(encodeFrame({ type: 'key-answer', id, hash, record, failed }));
    };
    this.#keys.find(hash).then(
      (record) => answer(record, false),
      () => answer(null, true),
    );
  }

  onResendKeys(connection: SidecarConnection): void {
    for (const message of this.#keys.messages()) connection.send(encodeFrame(message));
  }

  onSnapshotApplied(connection: SidecarConnection, message: SnapshotAppliedMessage): void {
    const { version, blockedMs } = message;
    this.#logger.info('snapshot applied', { pid: connection.status.pid, version, blockedMs });
  }

  onClose(connection: SidecarConnection): void {
    this.#connections.delete(connection);
    const { pid } = connection.status;
    if (pid !== 0) this.#logger.info('sidecar disconnected', { pid });
  }

  #sendToAll(frame: Uint8Array): void {
    for (const connection of this.#connections) if (connection.isReady) connection.send(frame);
  }
}
