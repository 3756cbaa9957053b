import type { Snapshot } from '../contract/snapshot.ts';
import type { Logger } from '../runtime/logger.ts';
import { AdminApi } from './admin/admin-api.ts';
import type { AdminServices, AdminState } from './admin/admin-services.ts';
import { ADMIN_ENDPOINTS } from './admin/endpoints.ts';
import { apiBaseOf } from './admin/model-info.ts';
import { type CompiledConfig, compileConfig } from './config/compile-config.ts';
import { type ConfigSource, type Environment, loadConfigSource, type SourceFile } from './config/config-source.ts';
import { ConfigError, Findings, formatFinding } from './config/findings.ts';
import { isAddress } from './config/open-prices.ts';
import type { FlagValues } from './config/resolve-settings.ts';
import { ConfigWatcher } from './config-watcher.ts';
import { ControlServer } from './control-server.ts';
import { CostMapDownload } from './pricing/cost-map-download.ts';
import { demoConfigSource, loadOrCreateDemoKey } from './demo-config.ts';
import { Ingestion } from './ingest/ingestion.ts';
import { KeyPublisher } from './keys/key-publisher.ts';
import { readProductVersion } from './product-version.ts';
import { StateStore } from './state-store.ts';
import { StoreKeeper } from './store/store-keeper.ts';
import { untilOpened } from './store/until-opened.ts';
import { BudgetKeeper } from './budgets/budget-keeper.ts';
import { clearSocketPath } from './unix-socket.ts';

export interface ControlOptions {
  /** Exists, 0700. */
  readonly dataDirectory: string;
  /** Null: the demo. */
  readonly configPath: string | null;
  readonly demo: { readonly mockUrl: string } | null;
  readonly controlSocketPath: string;
  readonly adminSocketPath: string;
  readonly env: Environment;
  /** From the command line; null where it says nothing. */
  readonly overrides: {
    readonly threads: number | null;
    readonly adminHost: string | null;
    readonly adminPort: number | null;
  };
  readonly logger: Logger;
}

export interface RunningControl {
  /** For the demo's banner; empty where an unset one was permitted. */
  masterKey(): string;
  /** Reads the configuration again, as on SIGHUP. Never rejects: a bad one is logged, and the old one stays. */
  reload(): Promise<void>;
  stop(): Promise<void>;
}

/** Settings that only a new start can change. */
const START_ONLY = [
  'sidecar',
  'host',
  'port',
  'threads',
  'database_connections',
  'database_connection_timeout',
  'litellm_database',
  'max_resident_keys',
  'admin.host',
  'admin.port',
];

/**
 * Runs the control plane in this process: reads the configuration, tells the sidecars, serves the admin API, watches
 * the file.
 *
 * @throws {ConfigError} when it can't start: a bad configuration, a socket in use. Its lines are for the operator.
 */
export async function runControl(options: ControlOptions): Promise<RunningControl> {
  // Before anything is written: two control planes must not share a data directory.
  await clearSocketPath(options.controlSocketPath);
  const control = new ControlPlane(options);
  await control.start();
  return control;
}

interface Loaded {
  readonly config: CompiledConfig;
  readonly files: readonly SourceFile[];
  readonly warnings: readonly string[];
}

interface ReloadOutcome {
  readonly at: string;
  readonly ok: boolean;
  readonly errors: readonly string[];
}

class ControlPlane implements RunningControl {
  readonly #options: ControlOptions;
  readonly #logger: Logger;
  readonly #flags: FlagValues;
  readonly #version = readProductVersion();
  readonly #startedAtMs = Date.now();
  readonly #store: StateStore;
  readonly #watcher = new ConfigWatcher(() => void this.reload());
  readonly #costMap: CostMapDownload;
  readonly #admin: AdminApi;
  /** Where the management API has an address of its own. */
  readonly #adminApart: AdminApi | null;
  readonly #database: StoreKeeper;
  readonly #ingestion: Ingestion;
  readonly #keys: KeyPublisher;
  readonly #budgets: BudgetKeeper;
  #loaded: Loaded;
  #snapshot: Snapshot;
  #server: ControlServer;
  #lastReload: ReloadOutcome | null = null;
  /** Reloads run one after another, in the order asked for. */
  #queue: Promise<void> = Promise.resolve();
  #isStarted = false;
  #isStopped = false;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#logger = options.logger;
    const { threads, adminHost, adminPort } = options.overrides;
    const demoKey = options.configPath === null ? loadOrCreateDemoKey(options.dataDirectory) : null;
    this.#flags = {
      threads: threads === null ? null : String(threads),
      master_key: demoKey,
      'admin.host': adminHost,
      'admin.port': adminPort === null ? null : String(adminPort),
    };
    this.#costMap = new CostMapDownload({
      dataDirectory: options.dataDirectory,
      logger: options.logger,
      onChange: () => void this.reload(),
    });
    this.#loaded = this.#load();
    this.#store = new StateStore(options.dataDirectory);
    if (this.#store.fault !== null) this.#logger.warn('the last state is not used', { reason: this.#store.fault });
    this.#database = new StoreKeeper(
      { dataDirectory: options.dataDirectory, ...this.#loaded.config.database },
      this.#logger,
    );
    this.#ingestion = new Ingestion({
      dataDirectory: options.dataDirectory,
      keeper: this.#database,
      settings: () => this.#loaded.config.usage,
      logger: this.#logger,
      beforeDelete: () => this.#budgets.save(),
    });
    this.#keys = this.#newKeyPublisher();
    this.#snapshot = this.#store.saveSnapshot(this.#loaded.config.snapshot);
    this.#server = new ControlServer(this.#snapshot, this.#keys, this.#version, this.#logger);
    this.#budgets = new BudgetKeeper({
      dataDirectory: options.dataDirectory,
      keeper: this.#database,
      server: this.#server,
      logger: this.#logger,
    });
    const isApart = this.#loaded.config.admin.port !== null;
    const api = { services: this.#adminServices(), logger: this.#logger };
    this.#admin = new AdminApi({ ...api, endpoints: isApart ? [] : ADMIN_ENDPOINTS, isApart: false });
    this.#adminApart = isApart ? new AdminApi({ ...api, endpoints: ADMIN_ENDPOINTS, isApart }) : null;
  }

  async start(): Promise<void> {
    const { config, files, warnings } = this.#loaded;
    for (const warning of warnings) this.#logger.warn(warning);
    try {
      await this.#server.listen(this.#options.controlSocketPath);
      await this.#admin.listenOnSocket(this.#options.adminSocketPath);
      await this.#listenApart();
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#isStarted = true;
    this.#costMap.follow(costMapAddress(this.#loaded));
    this.#keys.start();
    this.#database.start();
    this.#budgets.start();
    this.#watcher.watch(files);
    const { version, deployments, groups, wildcards } = config.snapshot;
    const models = groups.length + wildcards.length;
    this.#logger.info('control plane started', {
      snapshot: version,
      models,
      deployments: deployments.length,
      keys: config.keys.length,
    });
  }

  masterKey(): string {
    return this.#loaded.config.masterKey ?? '';
  }

  reload(): Promise<void> {
    this.#queue = this.#queue.then(() => this.#reloadNow());
    return this.#queue;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#watcher.close();
    this.#costMap.close();
    await this.#queue;
    await this.#admin.close();
    await this.#adminApart?.close();
    await this.#keys.close();
    await this.#server.close();
    await this.#ingestion.stop();
    await this.#budgets.stop();
    await this.#database.stop();
  }

  #reloadNow(): void {
    if (this.#isStopped) return;
    try {
      this.#apply(this.#load());
      this.#lastReload = { at: new Date().toISOString(), ok: true, errors: [] };
    } catch (error) {
      const lines = error instanceof ConfigError ? error.lines : [error instanceof Error ? error.message : 'unknown'];
      for (const line of lines) this.#logger.error(line);
      this.#logger.error('the new configuration is not used; the old one stays in force');
      this.#lastReload = { at: new Date().toISOString(), ok: false, errors: lines };
    }
  }

  #apply(next: Loaded): void {
    const previous = this.#loaded;
    const before = { snapshot: this.#snapshot, sequence: this.#keys.status.sequence };
    this.#loaded = next;
    // Keys go first: what they revoke must not outlive the change.
    this.#keys.setDeclared(next.config.declared);
    this.#snapshot = this.#store.saveSnapshot(next.config.snapshot);
    this.#costMap.follow(costMapAddress(next));
    if (this.#snapshot === before.snapshot && this.#keys.status.sequence === before.sequence) {
      this.#logger.info('configuration read again: nothing has changed');
      return;
    }
    if (this.#snapshot !== before.snapshot) this.#server.publishSnapshot(this.#snapshot);
    for (const warning of next.warnings) this.#logger.warn(warning);
    for (const name of START_ONLY) {
      if (shownValue(previous, name) !== shownValue(next, name)) this.#logger.warn(`${name} changes at the next start`);
    }
    this.#logger.info('new configuration in force', {
      snapshot: this.#snapshot.version,
      deployments: next.config.snapshot.deployments.length,
      keys: next.config.keys.length,
    });
  }

  #load(): Loaded {
    const findings = new Findings();
    const source = { ...this.#source(findings), downloads: this.#costMap.maps };
    // Also of a bad edit: what mends it may be a file that it was the first to include.
    if (this.#isStarted) this.#watcher.watch(source.files);
    const config = compileConfig(source, this.#flags, Date.now(), findings);
    if (findings.errors.length > 0) throw new ConfigError(findings.errors.map(formatFinding));
    return { config, files: source.files, warnings: findings.warnings.map(formatFinding) };
  }

  #source(findings: Findings): ConfigSource {
    const { configPath, demo, env } = this.#options;
    if (configPath !== null) return loadConfigSource(configPath, env, findings);
    if (demo === null) throw new ConfigError(['no configuration: name one with --config']);
    return demoConfigSource(demo.mockUrl, env, findings);
  }

  #newKeyPublisher(): KeyPublisher {
    const { config } = this.#loaded;
    return new KeyPublisher({
      files: this.#store.keys,
      keeper: this.#database,
      declared: config.declared,
      database: config.database,
      settings: config.storedKeys,
      logger: this.#logger,
      send: (message) => this.#server.send(message),
    });
  }

  async #listenApart(): Promise<void> {
    const { host, port } = this.#loaded.config.admin;
    if (this.#adminApart === null || port === null) return;
    try {
      const bound = await this.#adminApart.listenOnPort(host, port);
      this.#logger.info('management API listens', { host, port: bound });
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'unknown';
      throw new ConfigError([`the management API cannot listen on ${host}:${port}: ${reason}`]);
    }
  }

  #adminServices(): AdminServices {
    return {
      now: () => Date.now(),
      state: () => this.#adminState(),
      store: () => this.#database.require(),
      storeOpened: () => untilOpened(this.#database),
      findKey: (hash) => this.#keys.find(hash),
      changesPublished: () => this.#keys.settled(),
    };
  }

  #adminState(): AdminState {
    const { settings } = this.#snapshot;
    return {
      masterKeyHash: settings.masterKeyHash,
      keyHeaderName: settings.keyHeaderName,
      declared: this.#loaded.config.declared,
      corsOrigins: settings.cors.allowedOrigins,
      deployments: this.#loaded.config.deployments,
      budgets: settings.budgets,
      status: () => this.#status(),
    };
  }

  #status(): unknown {
    const snapshot = this.#snapshot;
    return {
      version: this.#version,
      pid: process.pid,
      started_at: new Date(this.#startedAtMs).toISOString(),
      config_files: this.#loaded.files.map((file) => file.path),
      last_reload: this.#lastReload,
      warnings: this.#loaded.warnings,
      snapshot: { version: snapshot.version, created_at: new Date(snapshot.createdAtMs).toISOString() },
      store: this.#database.status,
      ingestion: this.#ingestion.status,
      keys: this.#keys.status,
      deployments: snapshot.deployments.map((deployment) => ({
        id: deployment.id,
        model_name: deployment.groupName,
        provider: deployment.provider,
        model: deployment.upstreamModel,
        api_base: apiBaseOf(deployment),
      })),
      sidecars: this.#server.sidecars.map((sidecar) => ({
        pid: sidecar.pid,
        version: sidecar.version,
        connected_at: new Date(sidecar.connectedAtMs).toISOString(),
        snapshot: sidecar.snapshotVersion,
        blocked_ms: sidecar.blockedMs,
      })),
    };
  }
}

/** null where prices come from a file, or from the gateway's own table alone. */
function costMapAddress(loaded: Loaded): string | null {
  const named = shownValue(loaded, 'model_cost_map');
  return named !== null && isAddress(named) ? named : null;
}

function shownValue(loaded: Loaded, path: string): string | null {
  return loaded.config.settings.find((setting) => setting.path === path)?.shown ?? null;
}
