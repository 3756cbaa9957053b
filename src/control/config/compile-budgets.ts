import { z } from 'zod';
import type { BudgetSpec } from '../../contract/budget-spec.ts';
import type { BudgetSettings, DeploymentSpec } from '../../contract/snapshot.ts';
import type { KeyGrant, OwnerGrant } from '../keys/fold-key.ts';
import type { CompileContext } from './compile-deployment.ts';
import { formatPath, nodeAt, toTexts } from './config-node.ts';
import type { OwnerEntry, VirtualKeyEntry } from './keys-schema.ts';
import type { LitellmParams } from './litellm-schema.ts';
import { budgetDuration, dollars } from './value-schemas.ts';

const providersSchema = z.record(
  z.string(),
  z
    .object({
      budget_limit: dollars().optional(),
      max_budget: dollars().optional(),
      time_period: budgetDuration().optional(),
      budget_duration: budgetDuration().optional(),
    })
    .refine((entry) => (entry.budget_limit ?? entry.max_budget) !== undefined, 'needs budget_limit'),
);

/** What the whole configuration says of budgets, those of keys and their owners apart. */
export function compileBudgets(context: CompileContext): BudgetSettings {
  const { settings } = context;
  // As in LiteLLM 0 means here that there is none: nobody wants a gateway that refuses everything.
  const maxNano = settings.max_budget === 0 ? null : settings.max_budget;
  return {
    timeZone: settings.timezone,
    exceededStatus: settings.budget_exceeded_status_code,
    reserves: settings.budget_reservation !== 'off',
    global: maxNano === null ? null : { maxNano, softNano: null, duration: settings.budget_duration },
    providers: compileProviders(context),
  };
}

/** `router_settings.provider_budget_config`, which may stand in `litellm_settings` too. */
function compileProviders({ source, findings }: CompileContext): BudgetSettings['providers'] {
  for (const section of ['router_settings', 'litellm_settings']) {
    const path = [section, 'provider_budget_config'];
    const node = nodeAt(source.root, path);
    if (node === null) continue;
    const parsed = providersSchema.safeParse(toTexts(node));
    if (!parsed.success) {
      findings.error(node.position, formatPath(path), 'must be a map {provider: {budget_limit: 10, time_period: 1d}}');
      continue;
    }
    return Object.fromEntries(Object.entries(parsed.data).map(([provider, entry]) => [provider, ofPeriod(entry)]));
  }
  return {};
}

export function compileDeploymentBudget(params: LitellmParams): Pick<DeploymentSpec, 'budget'> {
  const budget = ofEntry(params);
  return budget === null ? {} : { budget };
}

export function compileKeyBudgets(entry: VirtualKeyEntry): Pick<KeyGrant, 'budget' | 'modelBudgets'> {
  const budget = ofEntry(entry);
  const models = Object.entries(entry.model_max_budget ?? {});
  return {
    ...(budget === null ? {} : { budget }),
    ...(models.length === 0
      ? {}
      : { modelBudgets: Object.fromEntries(models.map(([model, of]) => [model, ofPeriod(of)])) }),
  };
}

export function compileOwnerBudgets(entry: OwnerEntry): Pick<OwnerGrant, 'budget' | 'memberBudget'> {
  const budget = ofEntry(entry);
  const member = ofEntry({ max_budget: entry.team_member_budget, budget_duration: entry.budget_duration });
  return { ...(budget === null ? {} : { budget }), ...(member === null ? {} : { memberBudget: member }) };
}

interface BudgetEntry {
  readonly max_budget?: number | undefined;
  readonly soft_budget?: number | undefined;
  readonly budget_duration?: string | undefined;
}

/** Null where nothing bounds it: a duration alone is no budget. */
function ofEntry({ max_budget: max, soft_budget: soft, budget_duration: duration }: BudgetEntry): BudgetSpec | null {
  if (max === undefined && soft === undefined) return null;
  return { maxNano: max ?? null, softNano: soft ?? null, duration: duration ?? null };
}

interface PeriodEntry {
  readonly budget_limit?: number | undefined;
  readonly max_budget?: number | undefined;
  readonly time_period?: string | undefined;
  readonly budget_duration?: string | undefined;
}

function ofPeriod(entry: PeriodEntry): BudgetSpec {
  return {
    maxNano: entry.budget_limit ?? entry.max_budget ?? null,
    softNano: null,
    duration: entry.time_period ?? entry.budget_duration ?? null,
  };
}
