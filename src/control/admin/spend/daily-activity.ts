import type { DetailRow } from '../../spend/spend-queries.ts';
import { dayText } from '../../spend/days.ts';
import type { DailyActivityReply, Metrics } from '../schemas/spend-schemas.ts';
import { toUsd } from '../usd.ts';
import type { KeyNames } from './key-names.ts';

type Day = DailyActivityReply['results'][number];

/** Adds up rows; money exactly, since a sum of dollars is not the sum of what they stand for. */
class Sum {
  readonly metrics: Metrics = {
    spend: 0,
    prompt_tokens: 0,
    completion_tokens: 0,
    cache_read_input_tokens: 0,
    cache_creation_input_tokens: 0,
    total_tokens: 0,
    successful_requests: 0,
    failed_requests: 0,
    api_requests: 0,
  };
  #nano = 0n;

  add(row: DetailRow): void {
    const { metrics } = this;
    this.#nano += row.spend_nano;
    metrics.spend = toUsd(this.#nano);
    metrics.prompt_tokens += row.prompt_tokens;
    metrics.completion_tokens += row.completion_tokens;
    metrics.cache_read_input_tokens += row.cache_read_tokens;
    metrics.cache_creation_input_tokens += row.cache_write_tokens;
    metrics.total_tokens += row.prompt_tokens + row.completion_tokens;
    metrics.successful_requests += row.successes;
    metrics.failed_requests += row.requests - row.successes;
    metrics.api_requests += row.requests;
  }
}

/** Sums by name, made as they are first asked for. */
class Sums {
  readonly #sums = new Map<string, Sum>();

  of(name: string): Sum {
    let sum = this.#sums.get(name);
    if (sum === undefined) this.#sums.set(name, (sum = new Sum()));
    return sum;
  }
}

/** The days of one page of rows, in their order, and what they add up to. */
export function dailyActivity(
  rows: readonly DetailRow[],
  namesOf: (hash: string) => KeyNames,
): { readonly results: Day[]; readonly total: Metrics } {
  const days = new Map<number, Day>();
  const sums = new Sums();
  const total = new Sum();
  for (const row of rows) {
    total.add(row);
    let day = days.get(row.day);
    if (day === undefined) days.set(row.day, (day = emptyDay(row.day, sums)));
    sums.of(`${row.day}`).add(row);
    const { breakdown } = day;
    const { key_alias, team_id } = namesOf(row.api_key);
    const keyPart = (path: string): Day['breakdown']['api_keys'][string] => {
      const sum = sums.of(`${path}\0${row.api_key}`);
      sum.add(row);
      return { metrics: sum.metrics, metadata: { key_alias, team_id: row.team_id === '' ? team_id : row.team_id } };
    };
    breakdown.api_keys[row.api_key] = keyPart(`${row.day}\0key`);
    for (const [kind, name] of [
      ['models', row.model],
      ['model_groups', row.model_group],
      ['providers', row.provider],
    ] as const) {
      if (name === '') continue;
      const path = `${row.day}\0${kind}\0${name}`;
      const sum = sums.of(path);
      sum.add(row);
      const part = (breakdown[kind][name] ??= { metrics: sum.metrics, metadata: {}, api_key_breakdown: {} });
      part.api_key_breakdown[row.api_key] = keyPart(path);
    }
  }
  return { results: [...days.values()], total: total.metrics };
}

function emptyDay(day: number, sums: Sums): Day {
  return {
    date: dayText(day),
    metrics: sums.of(`${day}`).metrics,
    breakdown: { models: {}, model_groups: {}, providers: {}, api_keys: {}, mcp_servers: {}, entities: {} },
  };
}
