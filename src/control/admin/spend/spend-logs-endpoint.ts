import { dayOf, dayRange, dayStartMs, dayText } from '../../spend/days.ts';
import type { DayRange, SpendQueries } from '../../spend/spend-queries.ts';
import { endpoint } from '../endpoint.ts';
import { type DailySummary, spendLogsQuery, spendLogsReply } from '../schemas/spend-schemas.ts';
import { toUsd } from '../usd.ts';
import { keyNames } from './key-names.ts';
import { spendLog } from './spend-log.ts';
import { scopeOf, type SpendScope } from './spend-scope.ts';

export const spendLogsEndpoint = endpoint({
  method: 'GET',
  paths: ['/spend/logs'],
  tag: 'spend',
  access: 'key-holder',
  summary: 'Requests, newest first, a page at a time; with both dates, sums of each day.',
  query: spendLogsQuery,
  reply: spendLogsReply,
  handle: async ({ query, caller }, services) => {
    const scope = scopeOf(caller, query);
    const { spend } = services.store();
    const { start_date, end_date, request_id, page, page_size: limit } = query;
    const hasRange = start_date !== undefined && end_date !== undefined;
    if (hasRange && query.summarize && request_id === undefined) {
      return summaries(spend, dayRange(query, services.now()), scope);
    }
    const rows = await spend.events({
      ...scope,
      requestId: request_id ?? null,
      fromMs: start_date === undefined ? null : Date.parse(start_date),
      untilMs: end_date === undefined ? null : dayStartMs(dayOf(Date.parse(end_date)) + 1),
      limit,
      offset: (page - 1) * limit,
    });
    const nameOf = await keyNames([...new Set(rows.map((row) => row.api_key))], services);
    return rows.map((row) => spendLog(row, nameOf(row.api_key)));
  },
});

/** As LiteLLM has it: days without a request are left out, but for those after the last that had one. */
async function summaries(spend: SpendQueries, range: DayRange, scope: SpendScope): Promise<DailySummary[]> {
  const days = new Map<number, DailySummary>();
  const dayOfSpend = (day: number): DailySummary => {
    let summary = days.get(day);
    if (summary === undefined) {
      days.set(day, (summary = { startTime: dayText(day), spend: 0, users: {}, models: {} }));
    }
    return summary;
  };
  if (scope.apiKey === null && scope.userId === null) {
    // Each from its own aggregate: a day has a thousand keys and twenty models, not as many as both multiplied.
    await Promise.all([
      spend.eachDaily('total', range, (day, _name, nano) => {
        dayOfSpend(day).spend = toUsd(nano);
      }),
      spend.eachDaily('key', range, (day, name, nano) => {
        dayOfSpend(day)[name] = toUsd(nano);
      }),
      spend.eachDaily('user', range, (day, name, nano) => {
        dayOfSpend(day).users[name] = toUsd(nano);
      }),
      spend.eachDaily('model', range, (day, name, nano) => {
        dayOfSpend(day).models[name] = toUsd(nano);
      }),
    ]);
  } else {
    const sums = new ExactSums();
    for (const row of await spend.detailByDay({ ...range, ...scope, model: null })) {
      const summary = dayOfSpend(row.day);
      summary.spend = sums.add(`${row.day}`, row.spend_nano);
      summary[row.api_key] = sums.add(`${row.day}\0k${row.api_key}`, row.spend_nano);
      summary.users[row.user_id] = sums.add(`${row.day}\0u${row.user_id}`, row.spend_nano);
      summary.models[row.model] = sums.add(`${row.day}\0m${row.model}`, row.spend_nano);
    }
  }
  const last = Math.max(...days.keys());
  for (let day = last + 1; days.size > 0 && day <= range.toDay; day += 1) dayOfSpend(day);
  return Array.from(days.keys())
    .sort((a, b) => a - b)
    .map((day) => dayOfSpend(day));
}

/** Adds up in nano-dollars what is shown in dollars. */
class ExactSums {
  readonly #sums = new Map<string, bigint>();

  add(name: string, nano: bigint): number {
    const sum = (this.#sums.get(name) ?? 0n) + nano;
    this.#sums.set(name, sum);
    return toUsd(sum);
  }
}
