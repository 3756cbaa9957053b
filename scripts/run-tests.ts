// Runs the test runner of this Node on the suite named first, or on the files given.
//   npm test                              everything but the slow suites
//   npm test -- src/http1/x.test.ts       only these files; runner options (--test-name-pattern=…) pass through
//   Files of one group (test/support/test-groups.ts) share a process, unless they are named.
//   npm run test:install                  the suite "toolchain"
//   npm run test:postgres                 what the store promises, on a PostgreSQL server of its own
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { groupFile, groupOf } from '../test/support/test-groups.ts';

const SUITES: Readonly<Record<string, readonly string[]>> = {
  main: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  postgres: ['test/store/**/*.test.ts', 'test/postgres/**/*.test.ts'],
  toolchain: ['test/toolchain/**/*.test.ts'],
};
/** Slow, or in need of a registry or a server: run by name only. And the groups, which stand for their files. */
const NOT_BY_DEFAULT = ['test/toolchain/', 'test/postgres/', 'test/groups/'];
/** Much of the time of the files is waiting: three keep two CPUs busy. */
const CONCURRENCY = 3;
/** For each test. What a file leaves open when its tests have ended is the business of `end-with-tests.ts`. */
const TIMEOUT_MS = 180_000;

const args = process.argv.slice(2);
const suite = args[0] !== undefined && Object.hasOwn(SUITES, args[0]) ? (args.shift() ?? 'main') : 'main';
const options = args.filter((arg) => arg.startsWith('-'));
const named = args.filter((arg) => !arg.startsWith('-'));
const files = named.length > 0 ? named.flatMap((pattern) => globSync(pattern)) : filesOfSuite(suite);

if (files.length === 0) {
  process.stderr.write(`run-tests: no test file for ${named.length > 0 ? named.join(' ') : suite}\n`);
  process.exit(1);
}

// One for all gateways that tests start, each in a data directory of its own: filling a new cache costs a second each time.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, '../node_modules/.cache/slipstream-tests');

process.execve?.(process.execPath, [
  process.execPath,
  '--test',
  '--test-reporter=spec',
  `--test-concurrency=${suite === 'toolchain' ? 1 : CONCURRENCY}`,
  `--test-timeout=${TIMEOUT_MS}`,
  '--import=./test/support/end-with-tests.ts',
  ...(suite === 'postgres' ? ['--test-global-setup=./test/support/postgres-setup.ts'] : []),
  ...options,
  ...files.sort(),
]);

function filesOfSuite(name: string): string[] {
  const found = (SUITES[name] ?? []).flatMap((pattern) => globSync(pattern));
  if (name !== 'main') return found;
  const wanted = found.filter((file) => !NOT_BY_DEFAULT.some((folder) => file.startsWith(folder)));
  const run = wanted.map((file) => {
    const group = groupOf(file);
    return group === null ? file : groupFile(group);
  });
  return [...new Set(run)];
}
