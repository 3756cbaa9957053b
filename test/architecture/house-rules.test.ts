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
    exempt: /^src\/(base\/invariant\.ts$|cli\/bench\/)/, // the bench is no part of the gateway
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

test('each runtime dependency has its reason in a decision record, exactly pinned', () => {
  const { dependencies } = JSON.parse(readText('package.json')) as { dependencies: Record<string, string> };
  const record = readText('docs/decisions/2026-11-22-runtime-dependencies.md');
  const names = Object.keys(dependencies);
  assert.ok(names.length > 0);
  for (const name of names) {
    assert.match(record, new RegExp(`^\\| \`${name}\` \\|`, 'm'));
    assert.match(dependencies[name] ?? '', /^\d+\.\d+\.\d+$/, `${name} is not pinned exactly`);
  }
});

function readText(file: string): string {
  return readFileSync(join(REPO_ROOT, file), 'utf8');
}
