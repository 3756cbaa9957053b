// Habits that no linter knows, checked by text.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { REPO_ROOT } from './planted-tree.ts';

interface HouseRule {
  readonly habit: string;
  readonly forbidden: RegExp;
  readonly example: string;
  readonly exempt: RegExp;
}

const rules: readonly HouseRule[] = [
  {
    habit: 'failures come from the error table, bugs from invariant(): no throw new Error(…)',
    forbidden: /throw new Error\(/,
    example: "throw new Error('no');",
    exempt: /^src\/base\/invariant\.ts$/,
  },
  {
    habit: 'private state is #private, not a symbol',
    forbidden: /Symbol\('k[A-Z]/,
    example: "const kState = Symbol('kState');",
    exempt: /^$/,
  },
  {
    habit: 'types are erasable by the Node that runs them: no transform flag',
    forbidden: /--experimental-(transform-types|strip-types)/,
    example: "spawn('node', ['--experimental-strip-types'])",
    exempt: /^$/,
  },
];

for (const { habit, forbidden, example, exempt } of rules) {
  test(habit, () => {
    assert.match(example, forbidden);
    const files = globSync('src/**/*.ts', { cwd: REPO_ROOT }).filter((file) => !file.endsWith('.test.ts'));
    assert.ok(files.length > 0);
    const offenders = files.filter((file) => !exempt.test(file) && forbidden.test(readText(file)));
    assert.deepEqual(offenders, []);
  });
}

function readText(file: string): string {
  return readFileSync(join(REPO_ROOT, file), 'utf8');
}
