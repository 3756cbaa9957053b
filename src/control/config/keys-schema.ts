import { z } from 'zod';
import { setting } from './setting-registry.ts';
import { budgetDuration, dollars, flag, integer, moment, text, texts } from './value-schemas.ts';

const LARGEST_LIMIT = 2 ** 31 - 1;

const hashText = (): z.ZodType<string> =>
  text().refine((value) => /^[0-9a-f]{64}$/i.test(value), 'must be a SHA-256 of 64 hex digits');

const modelsSetting = (): z.ZodType<readonly string[] | undefined> =>
  setting(texts().optional(), {
    description: 'Models that may be used: names, patterns with `*`, `all-team-models`, `all-proxy-models`.',
    default: null,
    defaultNote: 'all',
  });

const limit = (description: string): z.ZodType<number | undefined> =>
  setting(integer(0, LARGEST_LIMIT).optional(), { description, default: null });

const limitsByModel = (description: string): z.ZodType<Readonly<Record<string, number>> | undefined> =>
  setting(z.record(z.string(), integer(0, LARGEST_LIMIT)).optional(), { description, default: null });

/** The limits of keys, users and teams; what they count is put in by `whose`. */
const limitsShape = (whose: string) =>
  ({
    rpm_limit: limit(`Requests per window${whose}.`),
    tpm_limit: limit(`Tokens per window${whose}.`),
    max_parallel_requests: limit(`Requests at the same time${whose}.`),
    model_rpm_limit: limitsByModel(`Requests per window by model${whose}: \`{model: limit}\`.`),
    model_tpm_limit: limitsByModel(`Tokens per window by model${whose}: \`{model: limit}\`.`),
  }) as const;

const modelBudgetSchema = z
  .strictObject({
    budget_limit: dollars().optional(),
    max_budget: dollars().optional(),
    time_period: budgetDuration().optional(),
    budget_duration: budgetDuration().optional(),
  })
  .refine((entry) => (entry.budget_limit ?? entry.max_budget) !== undefined, 'needs budget_limit');

/** What keys, users and teams may spend. */
const budgetShape = (whose: string) =>
  ({
    max_budget: setting(dollars().optional(), {
      description: `What may be spent in a window${whose}; 0: nothing.`,
      unit: 'US dollars',
      default: null,
    }),
    soft_budget: setting(dollars().optional(), {
      description: 'From here on it is told of, in the log and a metric; nothing is refused.',
      unit: 'US dollars',
      default: null,
    }),
    budget_duration: setting(budgetDuration().optional(), {
      description: 'How long a window is (docs/budgets.md): `30s`, `30m`, `24h`, `7d`, `1mo`.',
      default: null,
      defaultNote: 'one window for all time',
    }),
  }) as const;

/** One entry of `slipstream.keys`. */
export const virtualKeySchema = z
  .strictObject({
    key: setting(text().optional(), {
      description: 'The key itself; better `os.environ/NAME`.',
      default: null,
      isSecret: true,
    }),
    key_hash: setting(hashText().optional(), {
      description: 'Instead of `key`: its SHA-256, hex.',
      default: null,
    }),
    alias: setting(text().optional(), { description: 'Name to show.', default: null }),
    user_id: setting(text().optional(), { description: 'Whose key it is.', default: null }),
    team_id: setting(text().optional(), { description: 'Team whose models it may use at most.', default: null }),
    models: modelsSetting(),
    ...limitsShape(''),
    ...budgetShape(''),
    model_max_budget: setting(z.record(z.string(), modelBudgetSchema).optional(), {
      description: 'The same by model: `{model: {budget_limit: 5, time_period: 1d}}`.',
      default: null,
    }),
    expires: setting(moment().optional(), {
      description: 'Date, or date and time (UTC unless it says otherwise), from which on the key is refused.',
      default: null,
      defaultNote: 'never',
    }),
    blocked: setting(flag().optional(), { description: 'The key is refused.', default: 'false' }),
  })
  .refine((entry) => (entry.key === undefined) !== (entry.key_hash === undefined), 'needs either key or key_hash');

const id = (what: string): z.ZodType<string> =>
  setting(text(), { description: `Id by which keys name the ${what}.`, default: null, defaultNote: 'required' });

const ownerShape = {
  alias: setting(text().optional(), { description: 'Name to show.', default: null }),
  models: modelsSetting(),
  blocked: setting(flag().optional(), { description: 'All its keys are refused.', default: 'false' }),
  ...limitsShape(', all keys together'),
  ...budgetShape(', all keys together'),
} as const;

/** One entry of `slipstream.users`. */
export const userSchema = z.strictObject({ user_id: id('user'), ...ownerShape });

/** One entry of `slipstream.teams`. */
export const teamSchema = z.strictObject({
  team_id: id('team'),
  ...ownerShape,
  team_member_budget: setting(dollars().optional(), {
    description: "What each user may spend with keys of the team, in the team's windows.",
    unit: 'US dollars',
    default: null,
  }),
});

/** One entry of the map `slipstream.model_groups`. */
export const modelGroupSchema = z.strictObject({
  rpm_limit: limit('Requests per window, of all keys.'),
  tpm_limit: limit('Tokens per window, of all keys.'),
  max_parallel_requests: limit('Requests at the same time, of all keys.'),
});

export type ModelGroupEntry = z.output<typeof modelGroupSchema>;
export type VirtualKeyEntry = z.output<typeof virtualKeySchema>;
export type OwnerEntry = Omit<z.output<typeof userSchema>, 'user_id'> &
  Partial<Pick<z.output<typeof teamSchema>, 'team_member_budget'>>;
