import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, globSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Whom the server runs as when we are root, which PostgreSQL refuses to be: the user that Debian's package makes, else nobody. */
const UNPRIVILEGED = ['postgres', 'nobody'];

export interface PostgresServer {
  /** Of the database `postgres`, over a Unix socket. */
  readonly url: string;
  /** Of another database of it. */
  urlOf(database: string): string;
  /** Where the programs of its version are, such as `pg_dump`. */
  readonly programs: string;
  stop(): void;
  /** After `stop`, on the same data and socket. */
  start(): void;
  /** Stops it and removes its files. */
  remove(): void;
}

/** Where initdb is, or null. */
export function findPostgres(): string | null {
  const folders = [
    ...(process.env['PATH'] ?? '').split(':'),
    ...globSync('/usr/lib/postgresql/*/bin').sort().toReversed(),
  ];
  const found = folders.find((folder) => existsSync(join(folder, 'initdb')));
  // A link leads to where the others are.
  return found === undefined ? null : dirname(realpathSync(join(found, 'initdb')));
}

/** A new server of its own: empty, on a Unix socket only, as durable as one in production. */
export function startPostgres(): PostgresServer {
  const programs = findPostgres();
  if (programs === null) {
    throw new Error('no initdb in PATH or /usr/lib/postgresql/*/bin: install the PostgreSQL server');
  }
  const directory = mkdtempSync(join(tmpdir(), 'slipstream-pg-'));
  const user = process.getuid?.() === 0 ? unprivilegedUser() : null;
  if (user !== null) chownSync(directory, user.uid, user.gid);
  const data = join(directory, 'data');
  const run = (name: string, ...args: string[]): void => {
    const options = { cwd: directory, stdio: 'pipe', ...user } as const;
    execFileSync(join(programs, name), args, options);
  };
  run('initdb', '--pgdata', data, '--auth', 'trust', '--username', 'postgres', '--encoding', 'UTF8', '--no-locale');
  const server: PostgresServer = {
    url: '',
    urlOf: (database) => `postgresql://postgres@localhost/${database}?host=${encodeURIComponent(directory)}`,
    programs,
    start: () => {
      const options = `-k ${directory} -c listen_addresses=`;
      run('pg_ctl', 'start', '--pgdata', data, '--wait', '--silent', '--log', join(directory, 'log'), '-o', options);
    },
    stop: () => run('pg_ctl', 'stop', '--pgdata', data, '--mode', 'immediate', '--wait', '--silent'),
    remove: () => {
      if (existsSync(join(data, 'postmaster.pid'))) server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  try {
    server.start();
  } catch (error) {
    server.remove();
    throw error;
  }
  return Object.assign(server, { url: server.urlOf('postgres') });
}

function unprivilegedUser(): { readonly uid: number; readonly gid: number } {
  for (const name of UNPRIVILEGED) {
    try {
      const id = (option: string): number => Number(execFileSync('id', [option, name], { stdio: 'pipe' }).toString());
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // no such user
    }
  }
  throw new Error('PostgreSQL does not run as root, and there is no other user');
}
