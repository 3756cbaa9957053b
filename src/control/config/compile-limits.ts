import type { LimitSpec, ModelLimits, OwnerLimits, RateLimitSpec } from '../../contract/key-record.ts';
import type { DeploymentSpec, ModelGroupSpec } from '../../contract/snapshot.ts';
import type { CompileContext } from './compile-deployment.ts';
import { entriesOf, formatPath, itemsOf, nodeAt, toTexts } from './config-node.ts';
import { modelGroupSchema, type ModelGroupEntry, type OwnerEntry } from './keys-schema.ts';
import type { LitellmParams } from './litellm-schema.ts';
import { reportIssues } from './report-issues.ts';

/** LiteLLM's name of the check that makes `rpm` and `tpm` of deployments refuse. */
export const ENFORCE_MODEL_RATE_LIMITS = 'enforce_model_rate_limits';

export function compileLimits(entry: ModelGroupEntry): LimitSpec {
  return {
    rpmLimit: entry.rpm_limit ?? null,
    tpmLimit: entry.tpm_limit ?? null,
    maxParallelRequests: entry.max_parallel_requests ?? null,
  };
}

export function compileModelLimits(entry: Pick<OwnerEntry, 'model_rpm_limit' | 'model_tpm_limit'>): ModelLimits {
  const { model_rpm_limit: rpm = {}, model_tpm_limit: tpm = {} } = entry;
  const limits = new Map<string, RateLimitSpec>();
  for (const model of [...Object.keys(rpm), ...Object.keys(tpm)]) {
    limits.set(model, { rpmLimit: ownValue(rpm, model), tpmLimit: ownValue(tpm, model) });
  }
  return Object.fromEntries(limits);
}

/** Null where nothing is limited. */
export function compileOwnerLimits(entry: OwnerEntry): OwnerLimits | null {
  const limits = { ...compileLimits(entry), modelLimits: compileModelLimits(entry) };
  return isUnlimited(limits) && Object.keys(limits.modelLimits).length === 0 ? null : limits;
}

/** `slipstream.model_groups`, put into the groups they name. */
export function compileGroupLimits(groups: readonly ModelGroupSpec[], context: CompileContext): ModelGroupSpec[] {
  const { source, findings } = context;
  const section = nodeAt(source.root, ['slipstream', 'model_groups']);
  if (section === null) return [...groups];
  if (section.kind !== 'map') {
    findings.error(section.position, 'slipstream.model_groups', 'must be a map of model groups');
    return [...groups];
  }
  const limits = new Map<string, LimitSpec>();
  for (const [name, { node, keyPosition }] of entriesOf(section)) {
    const path = ['slipstream', 'model_groups', name];
    const parsed = modelGroupSchema.safeParse(toTexts(node) ?? {});
    if (!parsed.success) reportIssues(parsed.error, source.root, path, findings);
    else if (groups.every((group) => group.name !== name)) {
      findings.warn(keyPosition, formatPath(path), 'is no model group: these limits are left out');
    } else limits.set(name, compileLimits(parsed.data));
  }
  return groups.map((group) => {
    const stated = limits.get(group.name);
    return stated === undefined || isUnlimited(stated) ? group : { ...group, limits: stated };
  });
}

/** What refuses at a deployment: `max_parallel_requests`, and `rpm` and `tpm` where they are enforced. */
export function compileDeploymentLimits(params: LitellmParams, context: CompileContext): DeploymentSpec['limits'] {
  const isEnforced = areRatesEnforced(context);
  const limits = {
    rpmLimit: isEnforced ? (params.rpm ?? null) : null,
    tpmLimit: isEnforced ? (params.tpm ?? null) : null,
    maxParallelRequests: params.max_parallel_requests ?? null,
  };
  return isUnlimited(limits) ? null : limits;
}

/** Our setting, or LiteLLM's list of checks. */
function areRatesEnforced({ settings, source }: CompileContext): boolean {
  if (settings.enforce_model_rate_limits) return true;
  return ['router_settings', 'litellm_settings'].some((section) =>
    itemsOf(nodeAt(source.root, [section, 'optional_pre_call_checks'])).some(
      (item) => item.kind === 'scalar' && item.text === ENFORCE_MODEL_RATE_LIMITS,
    ),
  );
}

function isUnlimited({ rpmLimit, tpmLimit, maxParallelRequests }: LimitSpec): boolean {
  return rpmLimit === null && tpmLimit === null && maxParallelRequests === null;
}

function ownValue(values: Readonly<Record<string, number>>, key: string): number | null {
  return Object.hasOwn(values, key) ? (values[key] ?? null) : null;
}
