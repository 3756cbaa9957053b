import { dayRange } from '../../spend/days.ts';
import { endpoint } from '../endpoint.ts';
import { dailyActivityQuery, dailyActivityReply } from '../schemas/spend-schemas.ts';
import { dailyActivity } from './daily-activity.ts';
import { keyNames } from './key-names.ts';
import { scopeOf } from './spend-scope.ts';

export const dailyActivityEndpoint = endpoint({
  method: 'GET',
  paths: ['/user/daily/activity'],
  tag: 'spend',
  access: 'key-holder',
  summary: 'Spend, tokens and requests of each day, by model, provider and key. A page is of rows, so a day may go on.',
  query: dailyActivityQuery,
  reply: dailyActivityReply,
  handle: async ({ query, caller }, services) => {
    const { page, page_size: size } = query;
    const filter = {
      ...dayRange(query, services.now()),
      ...scopeOf(caller, query),
      model: query.model ?? null,
    };
    const { spend } = services.store();
    const [count, rows] = await Promise.all([
      spend.countDetail(filter, services.now()),
      spend.detail(filter, size, (page - 1) * size),
    ]);
    const namesOf = await keyNames([...new Set(rows.map((row) => row.api_key))], services);
    const { results, total } = dailyActivity(rows, namesOf);
    return {
      results,
      metadata: {
        total_spend: total.spend,
        total_prompt_tokens: total.prompt_tokens,
        total_completion_tokens: total.completion_tokens,
        total_tokens: total.total_tokens,
        total_api_requests: total.api_requests,
        total_successful_requests: total.successful_requests,
        total_failed_requests: total.failed_requests,
        total_cache_read_input_tokens: total.cache_read_input_tokens,
        total_cache_creation_input_tokens: total.cache_creation_input_tokens,
        page,
        total_pages: Math.ceil(count / size),
        has_more: page * size < count,
      },
    };
  },
});
