import type { z } from 'zod';
import { dayRange, shortDayText } from '../../spend/days.ts';
import type { DailyActivity } from '../../spend/spend-queries.ts';
import { type AdminEndpoint, endpoint } from '../endpoint.ts';
import { activityReply, modelActivityReply, rangeQuery } from '../schemas/spend-schemas.ts';

const activity = endpoint({
  method: 'GET',
  paths: ['/global/activity'],
  tag: 'spend',
  access: 'admin',
  summary: 'Requests and tokens of each day.',
  query: rangeQuery,
  reply: activityReply,
  handle: async ({ query }, services) =>
    inForm(await services.store().spend.activity('total', dayRange(query, services.now()))),
});

const modelActivity = endpoint({
  method: 'GET',
  paths: ['/global/activity/model'],
  tag: 'spend',
  access: 'admin',
  summary: 'The same by model, the one with most requests first.',
  query: rangeQuery,
  reply: modelActivityReply,
  handle: async ({ query }, services) => {
    const rows = await services.store().spend.activity('model', dayRange(query, services.now()));
    return Array.from(
      Map.groupBy(rows, ({ name }) => name),
      ([model, ofModel]) => ({ model, ...inForm(ofModel) }),
    ).sort((a, b) => b.sum_api_requests - a.sum_api_requests);
  },
});

export const ACTIVITY_ENDPOINTS: readonly AdminEndpoint[] = [activity, modelActivity];

function inForm(rows: readonly DailyActivity[]): z.input<typeof activityReply> {
  return {
    daily_data: rows.map(({ day, requests, tokens }) => ({
      date: shortDayText(day),
      api_requests: requests,
      total_tokens: tokens,
    })),
    sum_api_requests: rows.reduce((sum, { requests }) => sum + requests, 0),
    sum_total_tokens: rows.reduce((sum, { tokens }) => sum + tokens, 0),
  };
}
