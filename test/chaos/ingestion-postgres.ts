import { findPostgres, startPostgres } from '../support/postgres-server.ts';
import { runIngestion } from './support/ingestion-run.ts';
import type { Scenario } from './support/scenario.ts';

export const scenario: Scenario = {
  name: 'ingestion-postgres',
  description: 'the same with PostgreSQL',
  modes: ['sidecar'],
  seconds: 10,
  unavailable: () => (findPostgres() === null ? 'there is no PostgreSQL server on this machine' : null),
  run: (context) => {
    const server = startPostgres();
    context.cleanup.add(() => server.remove());
    return runIngestion(context, server.url);
  },
};
