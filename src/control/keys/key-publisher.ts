import type { KeyDirectoryMessage, ToSidecar } from '../../contract/control-messages.ts';
import type { KeyRecord } from '../../contract/key-record.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { DeclaredKeys } from '../config/compile-keys.ts';
import type { StoreOptions } from '../store/open-store.ts';
import type { Store } from '../store/store.ts';
import { StoreError } from '../store/store-error.ts';
import type { StoreKeeper } from '../store/store-keeper.ts';
import { untilOpened } from '../store/until-opened.ts';
import type { ChangeRow } from '../store/tables/log-tables.ts';
import { ChangeFollower } from './change-follower.ts';
import { ChangeListener } from './change-listener.ts';
import type { Owners } from './fold-key.ts';
import type { KeyFiles } from './key-files.ts';
import { LitellmKeys } from './litellm-keys.ts';
import { KeyLookups } from './key-lookups.ts';
import { type KeyChange, KeyTable } from './key-table.ts';
import type { StoredKeySettings } from './stored-key-settings.ts';
import { foldDeclared, type KeyRecords, readAllKeys, readKeyRecords, reachedKeys } from './read-key-records.ts';

const CHANGES_PER_MESSAGE = 1000;
/** More changes than this, and than a quarter of the keys, are a new directory, a little later. */
const MIN_CHANGES_TO_WRITE = 1000;
const WRITE_DELAY_MS = 5000;
/** Whoever made a change waits no longer until sidecars were told. */
const CONNECT_TIMEOUT_MS = 10_000;
const SETTLE_TIMEOUT_MS = 2000;
/** A key asked for before the store was read. Less than the sidecar waits for its answer. */
const LOOKUP_PATIENCE_MS = 2000;

export interface KeyPublisherOptions {
  readonly files: KeyFiles;
  readonly keeper: StoreKeeper;
  readonly declared: DeclaredKeys;
  readonly settings: StoredKeySettings;
  readonly database: Omit<StoreOptions, 'dataDirectory'>;
  readonly logger: Logger;
  /** To all sidecars. */
  readonly send: (message: ToSidecar) => void;
}

/**
 * Turns the keys of the file and of the store, with their users and teams, into what sidecars get: a directory, and what
 * changes after it, in sequence. Everything told is on disk before, so that a sidecar which starts alone knows it.
 */
export class KeyPublisher {
  readonly #options: KeyPublisherOptions;
  readonly #table: KeyTable;
  readonly #lookups: KeyLookups;
  readonly #litellm: LitellmKeys | null;
  readonly #loaded = Promise.withResolvers<void>();
  #removeOpenListener: () => void = () => undefined;
  #listener: ChangeListener | null = null;
  #declared: DeclaredKeys;
  #storedOwners: Owners = { users: new Map(), teams: new Map() };
  #store: Store | null = null;
  #follower: ChangeFollower | null = null;
  #isLoaded = false;
  #sequence: number;
  /** Changes in the log beside the directory: of one key there can be many. */
  #logged: number;
  #writing: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(options: KeyPublisherOptions) {
    this.#options = options;
    this.#declared = options.declared;
    const saved = options.files.load();
    this.#table = new KeyTable(saved?.records ?? new Map(), saved?.changes ?? [], false);
    this.#sequence = saved?.sequence ?? 0;
    this.#logged = saved?.changes.length ?? 0;
    this.#litellm = this.#openLitellm();
    this.#lookups = new KeyLookups((hashes) => this.#readOnDemand(hashes));
    const told = this.#takeDeclared(options.declared, saved?.declared ?? []);
    if (saved === null) this.#writeDirectory();
    else this.#persist(told);
    this.#rememberDeclared();
  }

  /** From now on messages are sent, and the store is followed whenever it is open. */
  start(): void {
    this.#listener = this.#listen();
    this.#removeOpenListener = this.#options.keeper.onOpen((store) => this.#follow(store));
  }

  /** What a sidecar that has just come, or lost the thread, is told. */
  messages(): readonly ToSidecar[] {
    const directory = this.#directoryMessage();
    const changes = this.#table.changes;
    const { sequence: fromSequence } = directory;
    if (changes.length === 0 && fromSequence === this.#sequence) return [directory];
    return [directory, { type: 'key-changes', fromSequence, toSequence: this.#sequence, changes }];
  }

  get status(): { readonly count: number; readonly sequence: number; readonly complete: boolean } {
    return { count: this.#table.records.size, sequence: this.#sequence, complete: this.#isComplete };
  }

  /**
   * The key as sidecars are to know it; null = there is no such key.
   *
   * @throws {StoreError} when that can't be known.
   */
  async find(hash: string): Promise<KeyRecord | null> {
    const known = this.#table.records.get(hash);
    if (known !== undefined) return known;
    if (!this.#isLoaded) await this.#untilLoaded();
    return this.#isComplete ? (this.#table.records.get(hash) ?? null) : this.#lookups.find(hash);
  }

  /** The file was read again. What it takes away is gone at once, what depends on the store follows. */
  setDeclared(declared: DeclaredKeys): void {
    const before = this.#declared;
    this.#declared = declared;
    const told = this.#takeDeclared(
      declared,
      before.keys.map(({ hash }) => hash),
    );
    this.#tell(told);
    this.#rememberDeclared();
    // Keys of the store that the file described, and those whose users and teams it describes.
    this.#follower?.reload();
  }

  /** All changes made by this process so far have been told, or that takes too long to wait for. */
  async settled(): Promise<void> {
    if (this.#follower !== null) await within(SETTLE_TIMEOUT_MS, this.#follower.settled());
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#writing !== null) clearTimeout(this.#writing);
    this.#removeOpenListener();
    this.#follower?.close();
    await this.#listener?.close();
    await this.#litellm?.close();
  }

  get #isComplete(): boolean {
    return this.#isLoaded && this.#table.holdsAll && this.#litellm === null;
  }

  #directoryMessage(): KeyDirectoryMessage {
    const { path, sequence } = this.#options.files.directory;
    return { type: 'key-directory', path, sequence, complete: this.#isComplete };
  }

  #listen(): ChangeListener | null {
    const { database, logger } = this.#options;
    const { databaseUrl, connectTimeoutMs = CONNECT_TIMEOUT_MS } = database;
    if (databaseUrl === null) return null;
    return new ChangeListener({
      databaseUrl,
      connectTimeoutMs,
      logger,
      onAnnounced: () => this.#follower?.wake(),
    });
  }

  #openLitellm(): LitellmKeys | null {
    const { database, settings, logger } = this.#options;
    if (!settings.readsLitellm || database.databaseUrl === null) return null;
    return new LitellmKeys({
      databaseUrl: database.databaseUrl,
      connectTimeoutMs: database.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      logger,
      onChange: (hashes) => this.#forget(hashes),
    });
  }

  #follow(store: Store): void {
    this.#follower?.close();
    this.#store = store;
    this.#follower = new ChangeFollower({
      store,
      logger: this.#options.logger,
      onLoad: () => this.#load(store),
      onChanges: (changes) => this.#takeChanges(store, changes),
    });
  }

  async #load(store: Store): Promise<void> {
    const wasComplete = this.#isComplete;
    const { maxResident } = this.#options.settings;
    const declared = this.#declared;
    const all = await readAllKeys(store, declared, maxResident, Date.now());
    // It is read again if the file has changed meanwhile.
    if (this.#isClosed || declared !== this.#declared) return;
    this.#storedOwners = all.declaredOwners;
    const told = this.#table.replace(all.records, all.holdsAll);
    this.#lookups.noteChanged(told.map(({ hash }) => hash));
    if (!this.#isLoaded) this.#options.logger.info('keys of the store read', { keys: all.records.size });
    this.#isLoaded = true;
    this.#loaded.resolve();
    const { changeCount } = this.#table;
    // Keys that only no longer fit must not be told to be gone.
    if (told.length > MIN_CHANGES_TO_WRITE || (!all.holdsAll && changeCount > 0)) {
      this.#write();
    } else if (this.#isComplete !== wasComplete) {
      this.#persist(told);
      this.#sendAll();
    } else {
      this.#tell(told);
    }
    this.#options.files.setComplete(this.#isComplete);
  }

  async #takeChanges(store: Store, changes: readonly ChangeRow[]): Promise<void> {
    const reached = await reachedKeys(store, changes, this.#declared);
    const { holdsAll } = this.#table;
    const read: string[] = [];
    const others: string[] = [];
    for (const hash of reached) (holdsAll || this.#table.isResident(hash) ? read : others).push(hash);
    const found = await readKeyRecords(store, read, this.#declared, Date.now());
    for (const hash of others) found.set(hash, null);
    for (let start = 0; start < others.length; start += CHANGES_PER_MESSAGE) {
      const old = await store.keys.retiredOf(others.slice(start, start + CHANGES_PER_MESSAGE), Date.now());
      for (const { hash } of old) if (!found.has(hash)) found.set(hash, null);
    }
    if (!this.#isClosed) this.#take(found);
  }

  #take(found: Iterable<readonly [string, KeyRecord | null]>): void {
    const { holdsAll } = this.#table;
    const told = this.#table.take(found, this.#options.settings.maxResident);
    this.#lookups.noteChanged(told.map(({ hash }) => hash));
    if (holdsAll && !this.#table.holdsAll) this.#write();
    else this.#tell(told);
  }

  #takeDeclared(declared: DeclaredKeys, before: readonly string[]): KeyChange[] {
    const found = new Map<string, KeyRecord | null>(before.map((hash) => [hash, null]));
    for (const [hash, record] of foldDeclared(declared, this.#storedOwners)) found.set(hash, record);
    return this.#table.takeDeclared(found);
  }

  #rememberDeclared(): void {
    this.#options.files.setDeclared(this.#declared.keys.map(({ hash }) => hash));
  }

  /** What is told is first written: a sidecar that starts alone must know it too. */
  #tell(changes: readonly KeyChange[]): void {
    for (const message of this.#persist(changes)) this.#options.send(message);
    const many = Math.max(MIN_CHANGES_TO_WRITE, this.#table.records.size / 4);
    if (this.#logged <= many || this.#writing !== null) return;
    this.#writing = setTimeout(() => this.#write(), WRITE_DELAY_MS);
  }

  #persist(changes: readonly KeyChange[]): ToSidecar[] {
    const messages: ToSidecar[] = [];
    for (let start = 0; start < changes.length; start += CHANGES_PER_MESSAGE) {
      const part = changes.slice(start, start + CHANGES_PER_MESSAGE);
      const fromSequence = this.#sequence;
      this.#sequence += 1;
      const message = { type: 'key-changes', fromSequence, toSequence: this.#sequence, changes: part } as const;
      this.#options.files.append(message);
      this.#logged += part.length;
      messages.push(message);
    }
    return messages;
  }

  /** A new directory, told to all. */
  #write(): void {
    this.#writeDirectory();
    this.#sendAll();
  }

  #writeDirectory(): void {
    if (this.#writing !== null) clearTimeout(this.#writing);
    this.#writing = null;
    this.#sequence = this.#options.files.write(this.#table.records, this.#sequence, this.#isComplete);
    this.#table.wasWritten();
    this.#logged = 0;
  }

  #sendAll(): void {
    for (const message of this.messages()) this.#options.send(message);
  }

  async #readOnDemand(hashes: readonly string[]): Promise<KeyRecords> {
    const store = this.#store;
    if (store === null) throw new StoreError('unavailable', 'the database has not been opened yet');
    const found = await readKeyRecords(store, hashes, this.#declared, Date.now());
    if (this.#litellm === null) return found;
    const missing = hashes.filter((hash) => (found.get(hash) ?? null) === null);
    for (const [hash, record] of await this.#litellm.find(missing)) found.set(hash, record);
    return found;
  }

  /** Whatever was answered of these counts no more. */
  #forget(hashes: readonly string[]): void {
    this.#lookups.noteChanged(hashes);
    if (!this.#isClosed) this.#tell(hashes.filter((hash) => !this.#table.isResident(hash)).map(forgotten));
  }

  async #untilLoaded(): Promise<void> {
    const { keeper } = this.#options;
    const startedAtMs = performance.now();
    await within(LOOKUP_PATIENCE_MS, untilOpened(keeper));
    keeper.require();
    await within(LOOKUP_PATIENCE_MS - (performance.now() - startedAtMs), this.#loaded.promise);
    if (this.#isLoaded) return;
    throw new StoreError('unavailable', 'the keys have not been read yet');
  }
}

function forgotten(hash: string): KeyChange {
  return { hash, record: null };
}

async function within(ms: number, done: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([done, timeout]);
  clearTimeout(timer);
}
