import type { z } from 'zod';
import type { DayRange } from '../../spend/spend-queries.ts';
import { dayText } from '../../spend/days.ts';
import type { AdminServices } from '../admin-services.ts';
import type { teamSpendReply } from '../schemas/spend-schemas.ts';
import { toUsd } from '../usd.ts';

/** LiteLLM's `/global/spend/teams`: a row a day with a member per team, 0 where it spent nothing. */
export async function teamSpend(range: DayRange, services: AdminServices): Promise<z.input<typeof teamSpendReply>> {
  const { spend, db } = services.store();
  const [daily, teams] = await Promise.all([
    spend.daily('team', range),
    db.selectFrom('teams').select(['team_id', 'team_alias']).where('team_alias', 'is not', null).execute(),
  ]);
  const aliases = new Map(teams.map((row) => [row.team_id, row.team_alias]));
  const nameOf = (id: string): string => aliases.get(id) ?? id;
  const totals = new Map<string, bigint>();
  const byDay = new Map<number, Map<string, bigint>>();
  for (const { day, name: id, spend_nano: nano } of daily) {
    const name = nameOf(id);
    totals.set(name, (totals.get(name) ?? 0n) + nano);
    let spent = byDay.get(day);
    if (spent === undefined) byDay.set(day, (spent = new Map()));
    spent.set(name, (spent.get(name) ?? 0n) + nano);
  }
  const names = [...totals.keys()];
  return {
    daily_spend: Array.from(byDay, ([day, spent]) => ({
      date: dayText(day),
      ...Object.fromEntries(names.map((name) => [name, toUsd(spent.get(name) ?? 0n)])),
    })),
    teams: names,
    total_spend_per_team: Array.from(totals, ([name, nano]) => ({ team_id: name, total_spend: toUsd(nano) })),
  };
}
