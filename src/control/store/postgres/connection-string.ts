/** Parameters of Prisma's connection strings, which LiteLLM's users have: nothing to us, or not to be passed on. */
const PRISMA_ONLY = [
  'schema',
  'connection_limit',
  'pool_timeout',
  'connect_timeout',
  'pgbouncer',
  'socket_timeout',
  'statement_cache_size',
  'sslaccept',
  'sslidentity',
  'sslpassword',
];

/**
 * A connection string as `pg` takes it, from one as users of LiteLLM have it. `sslmode` means what it means to libpq:
 * `require` encrypts without looking at the certificate, `verify-full` checks it.
 *
 * @returns null if it is no URL of a PostgreSQL database.
 */
export function toConnectionString(databaseUrl: string): string | null {
  const url = URL.parse(databaseUrl);
  if (url === null || !/^postgres(?:ql)?:$/.test(url.protocol)) return null;
  for (const name of PRISMA_ONLY) url.searchParams.delete(name);
  if (url.searchParams.has('sslmode') && !url.searchParams.has('uselibpqcompat')) {
    url.searchParams.set('uselibpqcompat', 'true');
  }
  return url.href;
}
