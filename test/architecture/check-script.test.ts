import assert from 'node:assert/strict';
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { plantTree, REPO_ROOT, type PlantedTree } from './planted-tree.ts';

test('check passes types, lint and format of a clean tree', () => {
  using tree = plantTreeWithScripts();
  // Knip, which has no entry to start from here, is the one that fails.
  const verdicts = check(tree, []);
  for (const step of ['sizes', 'types', 'lint', 'format'])
    assert.match(verdicts, new RegExp(`^check: ${step} ok`, 'm'));
  assert.match(verdicts, /^check: failed: unused$/m);
});

test('check runs the steps that are named, and no step that there is not', () => {
  using tree = plantTreeWithScripts();
  tree.write('src/base/untidy.ts', 'export const   untidy = "double"\n');
  const verdicts = check(tree, ['sizes', 'format']).replaceAll(/ \(.*/g, '').split('\n');
  assert.deepEqual(verdicts, ['check: sizes ok', 'check: format FAILED: exit status 1', 'check: failed: format']);
  const { status, stdout, stderr } = run(tree, ['fromat']);
  assert.deepEqual([status, stdout], [2, '']);
  assert.match(stderr, /^check: there is no step fromat; there are sizes, types, lint, format, unused\n$/);
});

test('check fails in every step that sees no file', () => {
  using tree = plantTreeWithScripts();
  for (const layer of ['base', 'domain', 'contract', 'http1', 'runtime', 'sidecar', 'control', 'cli']) {
    rmSync(join(tree.root, 'src', layer, `${layer}-value.ts`));
  }
  const verdicts = check(tree, ['sizes', 'types', 'lint', 'format']);
  for (const step of ['sizes', 'types', 'lint', 'format']) {
    assert.match(verdicts, new RegExp(`^check: ${step} FAILED`, 'm'), step);
  }
});

test('check fails if the linter leaves files out', () => {
  using tree = plantTreeWithScripts();
  replaceIn(tree, 'oxlint.config.ts', "ignorePatterns: ['node_modules',", "ignorePatterns: ['node_modules', 'src/',");
  assert.match(check(tree, ['lint']), /^check: lint FAILED: read \d+ files of 8/m);
});

test('check fails if the formatter leaves files out', () => {
  using tree = plantTreeWithScripts();
  replaceIn(tree, '.oxfmtrc.json', '"ignorePatterns": [', '"ignorePatterns": ["src/**",');
  assert.match(check(tree, ['format']), /^check: format FAILED/m);
});

test('check fails if the compiler leaves a layer out', () => {
  using tree = plantTreeWithScripts();
  for (const file of ['tsconfig.json', 'tsconfig.tests.json']) replaceIn(tree, file, './src/cli', './src/base');
  assert.match(check(tree, ['types']), /^check: types FAILED: not compiled: src\/cli\/cli-value\.ts/m);
});

function plantTreeWithScripts(): PlantedTree {
  const tree = plantTree();
  for (const file of ['check.ts', 'report-sizes.ts', 'tool-command.ts']) {
    cpSync(join(REPO_ROOT, 'scripts', file), join(tree.root, 'scripts', file));
  }
  return tree;
}

function replaceIn(tree: PlantedTree, file: string, from: string, to: string): void {
  const before = readFileSync(join(tree.root, file), 'utf8');
  assert.ok(before.includes(from), `${file} has no ${from}`);
  tree.write(file, before.replaceAll(from, to));
}

/** The lines with the verdicts of these steps, one of which fails; of all steps if none is named. */
function check(tree: PlantedTree, steps: readonly string[]): string {
  const { status, stdout } = run(tree, steps);
  assert.equal(status, 1);
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('check: '))
    .join('\n');
}

function run(tree: PlantedTree, steps: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, ['scripts/check.ts', ...steps], { cwd: tree.root, encoding: 'utf8' });
}
