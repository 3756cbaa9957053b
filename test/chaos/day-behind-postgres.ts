import { findPostgres, startPostgres } from '../support/postgres-server.ts';
import { runDayOfJournal } from './support/day-of-journal.ts';
import type { Scenario } from './support/scenario.ts';

export const scenario: Scenario = {
  name: 'day-behind-postgres',
  description: 'the same with PostgreSQL, which was away for the day and goes away once more',
  modes: ['sidecar'],
  seconds: 60,
  unavailable: () => (findPostgres() === null ? 'there is no PostgreSQL server on this machine' : null),
  run: (context) => {
    const server = startPostgres();
    context.cleanup.add(() => server.remove());
    return runDayOfJournal(context, server);
  },
};
