import { globSync } from 'node:fs';

/**
 * Test files that share a process: starting one and loading its modules costs more than most of them do. Each group is a file
 * of `test/groups/`; what is in none of them has a process of its own. A file that takes much CPU stays alone, so that it
 * does not hold up the others.
 */
const GROUPS = {
  src: /^src\//,
  control: /^test\/control\//,
  store: /^test\/store\//,
  wire: /^test\/(conformance|docs|upstream)\//,
  'sidecar-errors': /^test\/sidecar\/(costs|cors|errors|failure|large|models|request|retry)/,
  'sidecar-flow': /^test\/sidecar\/flow-(c|r|u)/,
  'sidecar-keys': /^test\/sidecar\/(budgets|journal|key|limits|memory|overload|realtime|responses|secrets|usage)/,
  'sidecar-routing': /^test\/sidecar\/(routing|what-crosses)/,
} as const;

export type TestGroup = keyof typeof GROUPS;

/** They change what belongs to the whole process, or measure it. */
const ALONE = [
  'src/cli/bench/load-run.test.ts',
  'src/sidecar/descriptor-watch.test.ts',
  'src/sidecar/journal/journal-writer-faults.test.ts',
  'test/control/control-plane.test.ts',
  'test/store/key-push.test.ts',
];

/** Null: it runs in a process of its own. */
export function groupOf(file: string): TestGroup | null {
  if (ALONE.includes(file)) return null;
  const found = Object.entries(GROUPS).find(([, pattern]) => pattern.test(file));
  return found === undefined ? null : (found[0] as TestGroup);
}

export function groupFile(group: TestGroup): string {
  return `test/groups/${group}.test.ts`;
}

export function filesOfGroup(group: TestGroup): string[] {
  const files = globSync(['src/**/*.test.ts', 'test/**/*.test.ts']).filter((file) => groupOf(file) === group);
  if (files.length === 0) throw new Error(`the group ${group} has no test file`);
  return files.sort();
}
