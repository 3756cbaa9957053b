import { type PostgresServer, startPostgres } from './postgres-server.ts';

/* Of the suite "postgres": one server for all its files, which find it in the environment. */

let server: PostgresServer | null = null;

export function globalSetup(): void {
  server = startPostgres();
  process.env['TEST_POSTGRES_URL'] = server.url;
  process.env['TEST_POSTGRES_PROGRAMS'] = server.programs;
}

export function globalTeardown(): void {
  server?.remove();
}
