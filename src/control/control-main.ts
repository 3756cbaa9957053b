import type { KeyRecord } from '../contract/key-record.ts';
import type { Logger } from '../runtime/logger.ts';
import { AdminApi, type AdminState } from './admin/admin-api.ts';
import { apiBaseOf } from './admin/model-info.ts';
import { type CompiledConfig, compileConfig } from './config/compile-config.ts';
import { type ConfigSource, type Environment, loadConfigSource, type SourceFile } from './config/config-source.ts';
import { ConfigError, Findings, formatFinding } from './config/findings.ts';
import { isAddress } from './config/open-prices.ts';
import type { FlagValues } from './config/resolve-settings.ts';
import { ConfigWatcher } from './config-watcher.ts';
import { ControlServer, type Publication } from './control-server.ts';
import { CostMapDownload } from './pricing/cost-map-download.ts';
import { demoConfigSource, loadOrCreateDemoKey } from './demo-config.ts';
import { readProductVersion } from './product-version.ts';
import { type SavedState, StateStore } from './state-store.ts';
import { StoreKeeper } from './store/store-keeper.ts';
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
  readonly overrides: { readonly threads: number | null };
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
const START_ONLY = ['sidecar', 'host', 'port', 'threads', 'database_connections', 'database_connection_timeout'];

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
  readonly #database: StoreKeeper;
  #loaded: Loaded;
  #saved: SavedState;
  #keys: ReadonlyMap<string, KeyRecord>;
  #server: ControlServer;
  #lastReload: ReloadOutcome | null = null;
  /** Reloads run one after another, in the order asked for. */
  #queue: Promise<void> = Promise.resolve();
  #isStarted = false;
  #isStopped = false;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#logger = options.logger;
    const threads = options.overrides.threads;
    const demoKey = options.configPath === null ? loadOrCreateDemoKey(options.dataDirectory) : null;
    this.#flags = { threads: threads === null ? null : String(threads), master_key: demoKey };
    this.#costMap = new CostMapDownload({
      dataDirectory: options.dataDirectory,
      logger: options.logger,
      onChange: () => void this.reload(),
    });
    this.#loaded = this.#load();
    this.#store = new StateStore(options.dataDirectory);
    if (this.#store.fault !== null) this.#logger.warn('the last state is not used', { reason: this.#store.fault });
    this.#saved = this.#store.save(this.#loaded.config.snapshot, this.#loaded.config.keys);
    this.#keys = byHash(this.#loaded.config.keys);
    this.#database = new StoreKeeper(
      { dataDirectory: options.dataDirectory, ...this.#loaded.config.database },
      this.#logger,
    );
    this.#server = new ControlServer(this.#publication(), this.#version, this.#logger);
    this.#admin = new AdminApi(() => this.#adminState(), this.#logger);
  }

  async start(): Promise<void> {
    const { config, files, warnings } = this.#loaded;
    for (const warning of warnings) this.#logger.warn(warning);
    try {
      await this.#server.listen(this.#options.controlSocketPath);
      await this.#admin.listen(this.#options.adminSocketPath);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#isStarted = true;
    this.#costMap.follow(costMapAddress(this.#loaded));
    this.#database.start();
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
    await this.#server.close();
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
    const saved = this.#store.save(next.config.snapshot, next.config.keys);
    this.#loaded = next;
    this.#saved = saved;
    this.#costMap.follow(costMapAddress(next));
    if (!saved.keysChanged && !saved.snapshotChanged) {
      this.#logger.info('configuration read again: nothing has changed');
      return;
    }
    this.#keys = byHash(next.config.keys);
    this.#server.publish(this.#publication(), { keys: saved.keysChanged, snapshot: saved.snapshotChanged });
    for (const warning of next.warnings) this.#logger.warn(warning);
    for (const name of START_ONLY) {
      if (shownValue(previous, name) !== shownValue(next, name)) this.#logger.warn(`${name} changes at the next start`);
    }
    this.#logger.info('new configuration in force', {
      snapshot: saved.state.snapshot.version,
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

  #publication(): Publication {
    const { state } = this.#saved;
    return { state, keyDirectoryPath: this.#store.pathOf(state.keyDirectory.fileName), keys: this.#keys };
  }

  #adminState(): AdminState {
    const { settings } = this.#saved.state.snapshot;
    return {
      masterKeyHash: settings.masterKeyHash,
      keyHeaderName: settings.keyHeaderName,
      keys: this.#keys,
      deployments: this.#loaded.config.deployments,
      status: () => this.#status(),
    };
  }

  #status(): unknown {
    const { snapshot, keyDirectory } = this.#saved.state;
    return {
      version: this.#version,
      pid: process.pid,
      started_at: new Date(this.#startedAtMs).toISOString(),
      config_files: this.#loaded.files.map((file) => file.path),
      last_reload: this.#lastReload,
      warnings: this.#loaded.warnings,
      snapshot: { version: snapshot.version, created_at: new Date(snapshot.createdAtMs).toISOString() },
      store: this.#database.status,
      keys: { count: this.#keys.size, sequence: keyDirectory.sequence },
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

function byHash(records: readonly KeyRecord[]): ReadonlyMap<string, KeyRecord> {
  return new Map(records.map((record) => [record.hash, record]));
}

/** null where prices come from a file, or from the gateway's own table alone. */
function costMapAddress(loaded: Loaded): string | null {
  const named = shownValue(loaded, 'model_cost_map');
  return named !== null && isAddress(named) ? named : null;
}

function shownValue(loaded: Loaded, path: string): string | null {
  return loaded.config.settings.find((setting) => setting.path === path)?.shown ?? null;
}
