import { dayRange, dayText } from '../../spend/days.ts';
import { type AdminEndpoint, endpoint } from '../endpoint.ts';
import {
  dailySpendReply,
  globalSpendReply,
  globalTagsReply,
  providerBudgetsReply,
  providersReply,
  rangeOfKeyQuery,
  rangeQuery,
  spendTagsReply,
  tagNamesReply,
  tagsQuery,
  teamSpendReply,
  topKeysReply,
  topModelsReply,
  topQuery,
} from '../schemas/spend-schemas.ts';
import { isoOrNull } from '../row-reply.ts';
import { shownBudgets } from '../shown-spend.ts';
import { toUsd } from '../usd.ts';
import { keyNames } from './key-names.ts';
import { hashOfKey } from './spend-scope.ts';
import { teamSpend } from './team-spend.ts';

/** Names of one kind that a reply can hold. */
const MAX_NAMES = 1000;

const globalSpend = endpoint({
  method: 'GET',
  paths: ['/global/spend'],
  tag: 'spend',
  access: 'admin',
  summary: 'What everything has cost.',
  reply: globalSpendReply,
  handle: async (_call, services) => {
    const { global } = services.state().budgets;
    return {
      spend: toUsd(await services.store().spend.total()),
      max_budget: global === null || global.maxNano === null ? 0 : toUsd(BigInt(global.maxNano)),
    };
  },
});

const providerBudgets = endpoint({
  method: 'GET',
  paths: ['/provider/budgets'],
  tag: 'spend',
  access: 'admin',
  summary: 'The budgets of `provider_budget_config`, what of each is spent, and when its window ends.',
  reply: providerBudgetsReply,
  handle: async (_call, services) => {
    const budgets = services.state().budgets.providers;
    const shown = await shownBudgets('provider', budgets, services);
    return {
      providers: Object.fromEntries(
        Object.entries(budgets).map(([provider, { maxNano, duration }]) => {
          const { spendNano, resetAtMs } = shown.get(provider)!;
          return [
            provider,
            {
              budget_limit: maxNano === null ? null : toUsd(BigInt(maxNano)),
              time_period: duration,
              spend: toUsd(spendNano),
              budget_reset_at: isoOrNull(resetAtMs),
            },
          ];
        }),
      ),
    };
  },
});

const globalSpendLogs = endpoint({
  method: 'GET',
  paths: ['/global/spend/logs'],
  tag: 'spend',
  access: 'admin',
  summary: 'Spend of each day, of everybody or of one key.',
  query: rangeOfKeyQuery,
  reply: dailySpendReply,
  handle: async ({ query }, services) => {
    const apiKey = hashOfKey(query.api_key);
    const { spend } = services.store();
    const range = dayRange(query, services.now());
    const rows = apiKey === null ? await spend.daily('total', range) : await spend.daily('key', range, [apiKey]);
    return rows.map(({ day, spend_nano: nano }) => ({
      date: dayText(day),
      spend: toUsd(nano),
      ...(apiKey === null ? {} : { api_key: apiKey }),
    }));
  },
});

const globalSpendKeys = endpoint({
  method: 'GET',
  paths: ['/global/spend/keys'],
  tag: 'spend',
  access: 'admin',
  summary: 'The keys that spent most.',
  query: topQuery,
  reply: topKeysReply,
  handle: async ({ query }, services) => {
    const rows = await services.store().spend.byName('key', dayRange(query, services.now()), query.limit);
    const namesOf = await keyNames(
      rows.map(({ name }) => name),
      services,
    );
    return rows.map(({ name, spend_nano: nano }) => {
      const { key_alias, key_name } = namesOf(name);
      return { api_key: name, key_alias, key_name, total_spend: toUsd(nano) };
    });
  },
});

const globalSpendTeams = endpoint({
  method: 'GET',
  paths: ['/global/spend/teams'],
  tag: 'spend',
  access: 'admin',
  summary: 'Spend of each team, by day and in all. Teams are named by their alias, where they have one.',
  query: rangeQuery,
  reply: teamSpendReply,
  handle: ({ query }, services) => teamSpend(dayRange(query, services.now()), services),
});

const globalSpendModels = endpoint({
  method: 'GET',
  paths: ['/global/spend/models'],
  tag: 'spend',
  access: 'admin',
  summary: 'The models that cost most.',
  query: topQuery,
  reply: topModelsReply,
  handle: async ({ query }, services) => {
    const rows = await services.store().spend.byName('model', dayRange(query, services.now()), query.limit);
    return rows.map(({ name, spend_nano: nano }) => ({ model: name, total_spend: toUsd(nano) }));
  },
});

const globalSpendProvider = endpoint({
  method: 'GET',
  paths: ['/global/spend/provider'],
  tag: 'spend',
  access: 'admin',
  summary: 'Spend at each provider.',
  query: rangeQuery,
  reply: providersReply,
  handle: async ({ query }, services) => {
    const rows = await services.store().spend.byName('provider', dayRange(query, services.now()), MAX_NAMES);
    return rows.map(({ name, spend_nano: nano }) => ({ provider: name, spend: toUsd(nano) }));
  },
});

const globalSpendTags = endpoint({
  method: 'GET',
  paths: ['/global/spend/tags'],
  tag: 'spend',
  access: 'admin',
  summary: 'Spend of each tag. A request with two tags counts in both.',
  query: tagsQuery,
  reply: globalTagsReply,
  handle: async ({ query }, services) => {
    const wanted = query.tags?.split(',').map((tag) => tag.trim());
    const rows = await services.store().spend.byName('tag', dayRange(query, services.now()), MAX_NAMES);
    return {
      spend_per_tag: rows
        .filter(({ name }) => wanted === undefined || wanted.includes(name) || wanted.includes('all-tags'))
        .map(({ name, spend_nano: nano, requests }) => ({ name, spend: toUsd(nano), log_count: requests })),
    };
  },
});

const tagNames = endpoint({
  method: 'GET',
  paths: ['/global/spend/all_tag_names'],
  tag: 'spend',
  access: 'admin',
  summary: 'Tags that were used, at most 1,000 of them.',
  query: rangeQuery,
  reply: tagNamesReply,
  handle: async ({ query }, services) => {
    const rows = await services.store().spend.byName('tag', dayRange(query, services.now()), MAX_NAMES);
    return { tag_names: rows.map(({ name }) => name) };
  },
});

const spendTags = endpoint({
  method: 'GET',
  paths: ['/spend/tags'],
  tag: 'spend',
  access: 'admin',
  summary: 'Spend of each tag, with LiteLLM’s older field names.',
  query: rangeQuery,
  reply: spendTagsReply,
  handle: async ({ query }, services) => {
    const rows = await services.store().spend.byName('tag', dayRange(query, services.now()), MAX_NAMES);
    return rows.map(({ name, spend_nano: nano, requests }) => ({
      individual_request_tag: name,
      log_count: requests,
      total_spend: toUsd(nano),
    }));
  },
});

export const GLOBAL_SPEND_ENDPOINTS: readonly AdminEndpoint[] = [
  globalSpend,
  providerBudgets,
  globalSpendLogs,
  globalSpendKeys,
  globalSpendTeams,
  globalSpendModels,
  globalSpendProvider,
  globalSpendTags,
  tagNames,
  spendTags,
];
