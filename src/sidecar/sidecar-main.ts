import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { KeyDirectoryMessage, ToSidecar } from '../contract/control-messages.ts';
import { DATA_FILES } from '../contract/persisted-state.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import { SNAPSHOT_FORMAT } from '../contract/snapshot.ts';
import { TIMEOUTS } from '../contract/timeouts.ts';
import { HEARTBEAT_INTERVAL_MS } from '../runtime/heartbeat.ts';
import type { Logger } from '../runtime/logger.ts';
import { BudgetFeed } from './budgets/budget-feed.ts';
import { ControlLink, type ControlLinkListener } from './control-link.ts';
import { KeyFeed } from './keys/key-feed.ts';
import { claimProcessName, type ProcessClaim } from './journal/process-claim.ts';
import { UNUSED_MS } from './downstream/downstream-connection.ts';
import { Listeners, type SidecarListener } from './listeners.ts';
import { ResponseLog } from './local/response-log.ts';
import { loadNodeId, readKeyChanges, readPersistedState } from './sidecar-files.ts';
import type { SharedState } from './worker/shared-state.ts';
import { Certificates } from './tls/certificates.ts';
import { WorkerSet } from './worker/worker-set.ts';

/** A sidecar that starts waits so long for the control plane before it serves by what it had last. */
const CONTROL_GRACE_MS = 1_000;

/**
 * After a hand-over there is no hurry: a client that keeps a connection and uses it now and then is told by its next
 * answer to open another one, which no request can be lost by.
 */
const HANDED_OVER_UNUSED_MS = 5_000;

export interface SidecarOptions {
  readonly dataDirectory: string;
  readonly listeners: readonly SidecarListener[];
  readonly controlSocketPath: string;
  readonly adminSocketPath: string;
  readonly logger: Logger;
  /** Of the product, for the handshake. */
  readonly version?: string;
  /** How often a worker thread shows that its loop turns; ten missed are a hang. Default 1 s. */
  readonly heartbeatIntervalMs?: number;
  /** Called when all is ready but nothing is accepted yet; answers, later, what the sidecar before this one handed over. */
  readonly takeOver?: () => Promise<SharedState>;
}

export interface RunningSidecar {
  /** Of the first listener; 0 for a Unix socket. */
  readonly port: number;
  /** Of each listener. */
  readonly ports: readonly number[];
  /** A configuration is there and connections are accepted. */
  readonly ready: Promise<void>;
  /** Reads the files of TLS listeners again, for connections that come from now on. */
  reloadCertificates(): void;
  /** Readiness false and `connection: close` on every answer; resolves when `shutdownDelayMs` is over. */
  beginDrain(): Promise<void>;
  /** Stops accepting, lets requests in progress finish within `drainMs`, closes everything. */
  finishDrain(): Promise<void>;
  /**
   * Another sidecar goes on from here: stops accepting at once, for what is queued is taken by the other one, and begins
   * to finish what is in progress as `finishDrain` does, with readiness as it was.
   */
  handOver(): SharedState;
  /** The sidecar before this one has ended: reads what it wrote last. */
  predecessorEnded(): void;
}

export async function runSidecar(options: SidecarOptions): Promise<RunningSidecar> {
  const sidecar = new Sidecar(options);
  await sidecar.start();
  return sidecar;
}

/** The sidecar's main thread: listener, control link, and what all workers share. */
class Sidecar implements RunningSidecar, ControlLinkListener {
  readonly ready: Promise<void>;
  readonly #options: SidecarOptions;
  readonly #logger: Logger;
  readonly #link: ControlLink;
  readonly #responses: ResponseLog;
  readonly #listeners: Listeners;
  readonly #claim: ProcessClaim;
  readonly #certificates: Certificates;
  readonly #workers: WorkerSet;
  readonly #keys: KeyFeed;
  readonly #budgets: BudgetFeed;
  #snapshot: Snapshot | null = null;
  #finished: Promise<void> | null = null;
  #setReady: () => void = () => undefined;
  #onFirstSnapshot: () => void = () => undefined;

  constructor(options: SidecarOptions) {
    this.#options = options;
    this.#logger = options.logger;
    this.#responses = new ResponseLog(options.dataDirectory, options.logger);
    this.#link = new ControlLink(options.controlSocketPath, options.version ?? '0', this, options.logger);
    const { dataDirectory, logger } = options;
    const nodeId = loadNodeId(dataDirectory, randomUUID);
    this.#claim = claimProcessName(join(dataDirectory, DATA_FILES.writers), nodeId, logger);
    this.#budgets = new BudgetFeed({ dataDirectory, processName: this.#claim.name, logger });
    this.#workers = this.#newWorkerSet();
    this.#keys = new KeyFeed({
      workers: this.#workers.all,
      logger: options.logger,
      ask: (id, hash) => this.#link.send({ type: 'key-lookup', id, hash }),
      askForAll: () => {
        this.#link.send({ type: 'resend-keys' });
      },
      lookupTimeoutMs: () => this.#snapshot?.settings.timeouts.authLookupMs ?? TIMEOUTS.authLookupMs.defaultMs,
    });
    this.#certificates = new Certificates(
      options.listeners,
      (listener, certificate) => {
        this.#workers.setCertificate(listener, certificate);
      },
      options.logger,
    );
    const onConnection = this.#workers.accept.bind(this.#workers);
    this.#listeners = new Listeners(options.listeners, onConnection, options.logger);
    this.ready = new Promise((resolve) => {
      this.#setReady = resolve;
    });
  }

  get port(): number {
    return this.ports[0] ?? 0;
  }

  get ports(): readonly number[] {
    return this.#listeners.ports;
  }

  /** Gets a configuration, from the control plane or else from disk, starts the workers, listens. */
  async start(): Promise<void> {
    this.#link.open();
    const fallback = setTimeout(() => {
      this.#startFromDisk();
    }, CONTROL_GRACE_MS);
    await this.#firstSnapshot();
    clearTimeout(fallback);
    const { takeOver } = this.#options;
    if (takeOver !== undefined) {
      this.#workers.importState(await takeOver());
      this.#workers.reloadResponses();
    }
    this.#workers.loadBudgets(this.#budgets);
    await this.#listeners.listen();
    this.#setReady();
  }

  onControlConnected(): void {
    this.#logger.info('control plane connected');
    this.#workers.setControlConnected(true);
  }

  onControlLost(): void {
    this.#logger.warn('control plane lost; traffic goes on by the last configuration');
    this.#workers.setControlConnected(false);
    this.#keys.failAll();
  }

  onControlMessage(message: ToSidecar): void {
    switch (message.type) {
      case 'hello':
      case 'refused':
        return; // the link's own
      case 'snapshot':
        this.#takeSnapshot(message.snapshot);
        return;
      case 'key-directory':
        this.#takeKeys(message);
        return;
      case 'key-changes':
        this.#keys.takeChanges(message);
        return;
      case 'key-answer':
        this.#keys.takeAnswer(message);
        return;
      case 'budget-others':
        this.#budgets.takeOthers(message.rows);
        return;
      default:
        message satisfies never;
    }
  }

  reloadCertificates(): void {
    this.#certificates.reload();
  }

  async beginDrain(): Promise<void> {
    this.#workers.beginDrain();
    const delayMs = this.#snapshot?.settings.timeouts.shutdownDelayMs ?? 0;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
  }

  finishDrain(): Promise<void> {
    this.#finished ??= this.#finishDrain();
    return this.#finished;
  }

  handOver(): SharedState {
    this.#listeners.close();
    this.#finished ??= this.#closeAll(HANDED_OVER_UNUSED_MS, true);
    return this.#workers.exportState();
  }

  predecessorEnded(): void {
    this.#workers.reloadResponses();
    this.#budgets.catchUp();
  }

  async #finishDrain(): Promise<void> {
    await this.#listeners.closeWhenAccepted();
    await this.#closeAll(UNUSED_MS, false);
  }

  async #closeAll(unusedMs: number, isHandedOver: boolean): Promise<void> {
    const drainMs = this.#snapshot?.settings.timeouts.drainMs ?? TIMEOUTS.drainMs.defaultMs;
    await this.#workers.finishDrain({ drainMs, unusedMs, isHandedOver });
    this.#certificates.close();
    this.#link.close();
    this.#keys.close();
    this.#responses.close();
    this.#claim.release();
  }

  #newWorkerSet(): WorkerSet {
    const { dataDirectory, adminSocketPath, listeners, logger, heartbeatIntervalMs } = this.#options;
    return new WorkerSet({
      // Without their sockets, which no message to a thread can carry.
      listeners: listeners.map(({ name, isUnix, isKept, tls, proxyProtocol }) => ({
        name,
        isUnix,
        isKept,
        tls,
        proxyProtocol,
      })),
      certificates: () => this.#certificates.current,
      logger,
      heartbeatIntervalMs: heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS,
      adminSocketPath,
      journalDirectory: join(dataDirectory, DATA_FILES.journal),
      journalPrefix: this.#claim.name,
      responses: this.#responses,
      onKeyLookup: (hash) => {
        this.#keys.lookUp(hash);
      },
      onKeyGap: () => {
        this.#link.send({ type: 'resend-keys' });
      },
      onSnapshotApplied: (version, blockedMs) => {
        this.#link.send({ type: 'snapshot-applied', version, blockedMs });
      },
      giveKeys: (worker) => {
        this.#keys.giveTo(worker);
      },
    });
  }

  #firstSnapshot(): Promise<void> {
    return new Promise((resolve) => {
      this.#onFirstSnapshot = resolve;
      if (this.#workers.isStarted) resolve();
    });
  }

  #startFromDisk(): void {
    const { dataDirectory } = this.#options;
    const state = readPersistedState(dataDirectory, this.#logger);
    if (state === null || this.#snapshot !== null) return;
    this.#logger.warn('the control plane is away: serving by the last configuration on disk', {
      version: state.snapshot.version,
    });
    const { fileName, sequence, complete } = state.keyDirectory;
    const path = join(dataDirectory, fileName);
    this.#takeKeys({ type: 'key-directory', path, sequence, complete });
    for (const changes of readKeyChanges(path, this.#logger)) this.#keys.takeChanges(changes);
    this.#takeSnapshot(state.snapshot);
  }

  #takeSnapshot(snapshot: Snapshot): void {
    if (snapshot.format !== SNAPSHOT_FORMAT) {
      this.#logger.error('refused a configuration of another format', {
        format: snapshot.format,
        ours: SNAPSHOT_FORMAT,
      });
      return;
    }
    this.#snapshot = snapshot;
    if (this.#workers.isStarted) this.#workers.applySnapshot(snapshot);
    else this.#startWorkers();
  }

  #takeKeys(message: KeyDirectoryMessage): void {
    this.#keys.takeDirectory(message);
    if (!this.#workers.isStarted) this.#startWorkers();
  }

  /** Keys come right after the first snapshot; nothing is accepted before both are there. */
  #startWorkers(): void {
    if (this.#snapshot === null || !this.#keys.isLoaded) return;
    this.#workers.start(this.#snapshot);
    this.#onFirstSnapshot();
  }
}
