import { createHash } from 'node:crypto';
import type { KeyRecord } from '../../contract/key-record.ts';
import { type DeploymentSpec, type SidecarSettings, type Snapshot, SNAPSHOT_FORMAT } from '../../contract/snapshot.ts';
import { type TimeoutName, TIMEOUTS, type Timeouts } from '../../contract/timeouts.ts';
import { compileBudgets } from './compile-budgets.ts';
import { type CompileContext, compileDeployments, type DeploymentDraft } from './compile-deployment.ts';
import { compileKeys, type DeclaredKeys } from './compile-keys.ts';
import { compileListeners } from './compile-listeners.ts';
import { foldKey } from '../keys/fold-key.ts';
import type { StoredKeySettings } from '../keys/stored-key-settings.ts';
import { compileStrategies } from './compile-strategies.ts';
import { compileFailure, compileGroupRetryPolicies } from './compile-failure.ts';
import { compileFallbacks, type FallbackField } from './compile-fallbacks.ts';
import { compileAliases, compileGroups, finishDeployments } from './compile-routing.ts';
import type { IngesterSettings } from '../ingest/usage-ingester.ts';
import type { StoreOptions } from '../store/open-store.ts';
import { entriesOf, formatPath, itemsOf, nodeAt, toPublic, toTexts } from './config-node.ts';
import type { ConfigSource } from './config-source.ts';
import type { Findings } from './findings.ts';
import { type KeyReport, reportKeys, warnUnhonoured } from './key-report.ts';
import { modelEntrySchema } from './litellm-schema.ts';
import { hashKey, masterKeyFault } from './master-key.ts';
import { openPrices } from './open-prices.ts';
import { PemFiles } from './pem-files.ts';
import { reportEnvironment } from './report-environment.ts';
import { reportIssues } from './report-issues.ts';
import { type FlagValues, type ResolvedSetting, type ResolvedSettings, resolveSettings } from './resolve-settings.ts';
import type { Settings } from './settings-schema.ts';
import { timeoutKey } from './timeout-settings.ts';

/** What /model/info shows of a deployment besides its spec. */
export interface DeploymentInfo {
  readonly spec: DeploymentSpec;
  /** `model_info` of the file; values from the environment stay references. */
  readonly modelInfo: Readonly<Record<string, unknown>>;
}

export interface CompiledConfig {
  readonly snapshot: Snapshot;
  /** Of the file alone. */
  readonly keys: readonly KeyRecord[];
  readonly declared: DeclaredKeys;
  /** Null where an unset one was permitted. */
  readonly masterKey: string | null;
  /** Of the management API; a null port: the public one serves it. */
  readonly admin: Settings['admin'];
  /** Of the store. */
  readonly database: Omit<StoreOptions, 'dataDirectory'>;
  /** How long what was used is kept. */
  readonly usage: IngesterSettings;
  readonly storedKeys: StoredKeySettings;
  readonly deployments: readonly DeploymentInfo[];
  readonly settings: readonly ResolvedSetting[];
  readonly keyReports: readonly KeyReport[];
}

/**
 * The whole configuration, compiled for the sidecar. What is wrong goes to `findings`; with an error among them the
 * result must not be used.
 */
export function compileConfig(
  source: ConfigSource,
  flags: FlagValues,
  nowMs: number,
  findings: Findings,
): CompiledConfig {
  // Of a file that could not be read there is nothing to say but that.
  const isRead = findings.errors.length === 0;
  const keyReports = reportKeys(source.root);
  warnUnhonoured(keyReports, findings);
  reportEnvironment(source.environment, findings);
  checkSections(source, findings);
  const settings = resolveSettings(source, flags, findings);
  const masterKey = checkMasterKey(settings.values, isRead, findings);
  const context: CompileContext = {
    source,
    settings: settings.values,
    pemFiles: new PemFiles(),
    prices: openPrices(settings, source, findings),
    findings,
  };
  // The processes take these at start; here it only counts what is wrong with them.
  compileListeners(source.root, settings.values, findings);
  warnOfTrust(settings, findings);
  const drafts = compileModelList(context);
  const deployments = finishDeployments(drafts, context);
  const masterKeyHash = masterKey === null ? null : hashKey(masterKey);
  const names = compileNames(deployments, context);
  const routing = compileStrategies([...names.groups, ...names.wildcards], context);
  const content: Omit<Snapshot, 'version' | 'createdAtMs'> = {
    format: SNAPSHOT_FORMAT,
    settings: sidecarSettings(settings.values, masterKeyHash, {
      routing,
      failure: compileFailure(context),
      budgets: compileBudgets(context),
    }),
    deployments,
    ...names,
  };
  const declared = compileKeys(source.root, masterKeyHash, findings);
  return {
    snapshot: { ...content, version: versionOf(content), createdAtMs: nowMs },
    keys: declared.keys.map((grant) => foldKey(grant, declared.owners)),
    declared,
    masterKey,
    admin: settings.values.admin,
    ...storeSettings(settings.values),
    usage: {
      keepEventsMs: settings.values.usage_retention,
      keepSegmentsMs: settings.values.journal.keep,
      prices: Object.fromEntries(deployments.flatMap(({ id, price }) => (price === null ? [] : [[id, price]]))),
    },
    deployments: deployments.map((spec, index) => ({ spec, modelInfo: modelInfoOf(drafts[index], context) })),
    settings: settings.list,
    keyReports,
  };
}

function storeSettings(values: Settings): Pick<CompiledConfig, 'database' | 'storedKeys'> {
  return {
    database: {
      databaseUrl: values.database_url,
      maxConnections: values.database_connections,
      connectTimeoutMs: values.database_connection_timeout,
    },
    storedKeys: { maxResident: values.max_resident_keys, readsLitellm: values.litellm_database === 'read' },
  };
}

/** LiteLLM believes X-Forwarded-For of anyone; who relies on it has to say whose. */
function warnOfTrust({ values, list }: ResolvedSettings, findings: Findings): void {
  const { origin } = list.find(({ path }) => path === 'use_x_forwarded_for')!;
  if (origin.source === 'default' || !values.use_x_forwarded_for || values.trusted_proxies !== null) return;
  findings.warn(origin.position, origin.name, 'has no effect without slipstream.trusted_proxies: nobody is believed');
}

function compileNames(
  deployments: readonly DeploymentSpec[],
  context: CompileContext,
): Pick<Snapshot, 'groups' | 'wildcards' | 'aliases' | 'groupRetryPolicies' | FallbackField> {
  const names = compileGroups(deployments, context);
  const aliases = compileAliases(names, context);
  const ids = new Set(deployments.map((deployment) => deployment.id));
  const families = new Map(
    deployments.flatMap(({ id, groupName, family }) => [[groupName, family] as const, [id, family] as const]),
  );
  return {
    ...names,
    aliases,
    ...compileFallbacks({ ...names, ids, families }, aliases, context),
    groupRetryPolicies: compileGroupRetryPolicies(context),
  };
}

function checkSections(source: ConfigSource, findings: Findings): void {
  for (const [key, { node }] of entriesOf(source.root)) {
    const wanted = key === 'model_list' ? 'list' : /^(?:litellm|general|router)_settings$/.test(key) ? 'map' : null;
    if (wanted !== null && node.kind !== wanted) findings.error(node.position, key, `must be a ${wanted}`);
  }
}

function checkMasterKey(settings: Settings, isRead: boolean, findings: Findings): string | null {
  const fault = masterKeyFault(settings.master_key);
  if (fault === null) return settings.master_key;
  if (settings.dangerously_permit_weak_or_unset_master_key) {
    findings.warn(
      null,
      '',
      `${fault}: permitted by dangerously_permit_weak_or_unset_master_key, never do this in public`,
    );
  } else if (settings.master_key !== null || isRead) {
    const remedy = 'set general_settings.master_key or LITELLM_MASTER_KEY to a random text of at least 16 characters';
    findings.error(null, '', `${fault}: ${remedy}`);
  }
  return settings.master_key;
}

function compileModelList(context: CompileContext): DeploymentDraft[] {
  const { root } = context.source;
  const drafts: DeploymentDraft[] = [];
  for (const [index, item] of itemsOf(nodeAt(root, ['model_list'])).entries()) {
    const path = ['model_list', index];
    if (item.kind !== 'map') {
      context.findings.error(item.position, formatPath(path), 'must be a map with model_name and litellm_params');
      continue;
    }
    const parsed = modelEntrySchema.safeParse(toTexts(item));
    if (parsed.success) drafts.push(...compileDeployments(parsed.data, path, context));
    else reportIssues(parsed.error, root, path, context.findings);
  }
  if (drafts.length === 0 && context.findings.errors.length === 0) {
    context.findings.warn(root.position, 'model_list', 'no model can be served');
  }
  return drafts;
}

function sidecarSettings(
  settings: Settings,
  masterKeyHash: string | null,
  { routing, failure, budgets }: Pick<SidecarSettings, 'routing' | 'failure' | 'budgets'>,
): SidecarSettings {
  return {
    threads: settings.threads,
    timeouts: Object.fromEntries(
      (Object.keys(TIMEOUTS) as TimeoutName[]).map((name) => [name, settings.timeouts[timeoutKey(name)]]),
    ) as Timeouts,
    limits: {
      maxHeadBytes: settings.limits.max_head_bytes,
      maxHeaders: settings.limits.max_headers,
      maxBodyBytes: settings.limits.max_body_bytes,
      maxJsonBodyBytes: settings.limits.max_json_body_bytes,
      maxReplayBytes: settings.limits.max_replay_bytes,
      minBodyRate: settings.limits.min_body_rate,
      maxInFlightBytes: settings.limits.max_in_flight_bytes,
      maxInFlight: settings.limits.max_in_flight,
      maxQueue: settings.limits.max_queue,
    },
    rateLimits: {
      windowMs: settings.rate_limits.window,
      tokenReservation: settings.tpm_reservation,
      maxSubjects: settings.rate_limits.max_subjects,
    },
    numRetries: settings.num_retries,
    maxFallbacks: settings.max_fallbacks,
    budgets,
    routing,
    failure,
    replyModel: settings.reply_model,
    echoProviderHeaders: settings.echo_provider_headers,
    forwardClientHeaders: settings.forward_client_headers,
    masterKeyHash,
    keyHeaderName: settings.key_header_name?.toLowerCase() ?? null,
    metricsRequireKey: settings.metrics_require_key,
    cors: { allowedOrigins: settings.cors.allowed_origins ?? [], maxAgeMs: settings.cors.max_age },
    clientAddress: {
      trustedProxies: settings.use_x_forwarded_for ? (settings.trusted_proxies ?? []) : [],
      record: settings.record_client_address,
    },
    journal: {
      maxSegmentBytes: settings.journal.max_segment_bytes,
      fsyncIntervalMs: settings.journal.fsync_interval,
      maxBytes: settings.journal.max_bytes,
      onFull: settings.journal.on_full,
      openAfterMs: settings.journal.open_after,
    },
  };
}

/** Equal content, equal version: nothing is pushed for an edit that changes nothing. */
function versionOf(content: Omit<Snapshot, 'version' | 'createdAtMs'>): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 16);
}

function modelInfoOf(draft: DeploymentDraft | undefined, context: CompileContext): Readonly<Record<string, unknown>> {
  const node = draft === undefined ? null : nodeAt(context.source.root, [...draft.path, 'model_info']);
  return node?.kind === 'map' ? (toPublic(node) as Record<string, unknown>) : {};
}
