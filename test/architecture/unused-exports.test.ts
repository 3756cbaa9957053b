import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { toolCommand } from '../../scripts/tool-command.ts';
import { plantTree, type PlantedTree } from './planted-tree.ts';

test('an export that nobody imports is refused', () => {
  using tree = plantUsedTree();
  tree.write('src/base/base-value.ts', 'export const baseValue = 1;\nexport const nobodyWantsThis = 2;\n');
  const { status, output } = findUnused(tree.root);
  assert.equal(status, 1);
  assert.match(output, /nobodyWantsThis.*src\/base\/base-value\.ts/);
});

test('a type that nobody imports is refused', () => {
  using tree = plantUsedTree();
  tree.write('src/base/base-value.ts', 'export const baseValue = 1;\nexport interface NobodyWantsThis {\n  a: 1;\n}\n');
  const { status, output } = findUnused(tree.root);
  assert.equal(status, 1);
  assert.match(output, /NobodyWantsThis.*src\/base\/base-value\.ts/);
});

test('a file that nobody imports is refused', () => {
  using tree = plantUsedTree();
  tree.write('src/base/nobody-wants-this.ts', 'export const value = 1;\n');
  const { status, output } = findUnused(tree.root);
  assert.equal(status, 1);
  assert.match(output, /Unused files[\s\S]*src\/base\/nobody-wants-this\.ts/);
});

test('a dependency that nobody imports is refused', () => {
  using tree = plantUsedTree();
  tree.write('package.json', '{ "name": "planted", "type": "module", "dependencies": { "zod": "4.6.7" } }\n');
  const { status, output } = findUnused(tree.root);
  assert.equal(status, 1);
  assert.match(output, /Unused dependencies[\s\S]*zod/);
});

test('a tree in which everything is used passes', () => {
  using tree = plantUsedTree();
  assert.deepEqual(findUnused(tree.root), { status: 0, output: '' });
});

/** The entry imports every file of the planted tree. */
function plantUsedTree(): PlantedTree {
  const tree = plantTree();
  const imports = ['base', 'domain', 'contract', 'http1', 'runtime', 'sidecar', 'control', 'cli'].map((layer) => {
    const path = layer === 'cli' ? './cli-value.ts' : `../${layer}/${layer}-value.ts`;
    return `import { ${layer}Value } from '${path}';\nglobalThis.console.log(${layer}Value);\n`;
  });
  tree.write('src/cli/main.ts', imports.join(''));
  tree.write('package.json', '{ "name": "planted", "type": "module" }\n');
  return tree;
}

function findUnused(cwd: string): { status: number | null; output: string } {
  const [command = '', ...args] = toolCommand('knip', '--no-config-hints', '--no-progress', '--exclude=unlisted');
  const result = spawnSync(command, args, { cwd, encoding: 'utf8' });
  return { status: result.status, output: result.stdout + result.stderr };
}
