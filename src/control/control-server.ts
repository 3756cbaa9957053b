import { createServer, type Server } from 'node:net';
import type { KeyLookupMessage, SnapshotAppliedMessage } from '../contract/control-messages.ts';
import { encodeFrame } from '../contract/frame-codec.ts';
import type { KeyRecord } from '../contract/key-record.ts';
import type { PersistedState } from '../contract/persisted-state.ts';
import type { Logger } from '../runtime/logger.ts';
import { SidecarConnection, type SidecarHandler, type SidecarStatus } from './sidecar-connection.ts';
import { listenOnSocket } from './unix-socket.ts';

/** What sidecars are told. */
export interface Publication {
  readonly state: PersistedState;
  readonly keyDirectoryPath: string;
  /** By the hash they are called with. */
  readonly keys: ReadonlyMap<string, KeyRecord>;
  /** There may be more that can't be told now: the database is away. */
  readonly areKeysMissing: boolean;
}

/** The listening end of the control socket: every sidecar has the current snapshot and keys, and hears of changes. */
export class ControlServer implements SidecarHandler {
  readonly #server: Server;
  readonly #logger: Logger;
  readonly #connections = new Set<SidecarConnection>();
  #publication: Publication;
  #snapshotFrame: Uint8Array;
  #keysFrame: Uint8Array;

  constructor(publication: Publication, version: string, logger: Logger) {
    this.#logger = logger;
    this.#publication = publication;
    this.#snapshotFrame = snapshotFrame(publication);
    this.#keysFrame = keysFrame(publication);
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

  /** Replaces what is told, and tells it to all. Keys go first: what they revoke must not outlive the change. */
  publish(publication: Publication, changed: { readonly keys: boolean; readonly snapshot: boolean }): void {
    this.#publication = publication;
    if (changed.keys) this.#keysFrame = keysFrame(publication);
    if (changed.snapshot) this.#snapshotFrame = snapshotFrame(publication);
    for (const connection of this.#connections) {
      if (!connection.isReady) continue;
      if (changed.keys) connection.send(this.#keysFrame);
      if (changed.snapshot) connection.send(this.#snapshotFrame);
    }
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.close();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }

  onHello(connection: SidecarConnection): void {
    const { pid, version } = connection.status;
    this.#logger.info('sidecar connected', { pid, version });
    connection.send(this.#snapshotFrame);
    connection.send(this.#keysFrame);
  }

  onKeyLookup(connection: SidecarConnection, message: KeyLookupMessage): void {
    const { keys, areKeysMissing } = this.#publication;
    const { id, hash } = message;
    const record = keys.get(hash) ?? null;
    const failed = record === null && areKeysMissing;
    connection.send(encodeFrame({ type: 'key-answer', id, hash, record, failed }));
  }

  onResendKeys(connection: SidecarConnection): void {
    connection.send(this.#keysFrame);
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
}

function snapshotFrame({ state }: Publication): Uint8Array {
  return encodeFrame({ type: 'snapshot', snapshot: state.snapshot });
}

function keysFrame({ state, keyDirectoryPath }: Publication): Uint8Array {
  const { sequence, complete } = state.keyDirectory;
  return encodeFrame({ type: 'key-directory', path: keyDirectoryPath, sequence, complete });
}
