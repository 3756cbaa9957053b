import { SUM_COLUMNS } from './usage-deltas.ts';

/** The aggregate tables, for both engines: which columns identify a row, and what is added up in it. */
export const AGGREGATES = {
  usage_daily: { keys: ['day', 'kind', 'name'], sums: SUM_COLUMNS },
  usage_detail: {
    keys: ['day', 'api_key', 'user_id', 'team_id', 'model', 'model_group', 'provider'],
    sums: SUM_COLUMNS,
  },
  usage_totals: { keys: ['kind', 'name'], sums: ['requests', 'tokens', 'spend_nano'] },
} as const satisfies Readonly<Record<string, { readonly keys: readonly string[]; readonly sums: readonly string[] }>>;

/** `a = table.a + excluded.a, …` */
export function additions(table: string, columns: readonly string[]): string {
  return columns.map((column) => `${column} = ${table}.${column} + excluded.${column}`).join(', ');
}
