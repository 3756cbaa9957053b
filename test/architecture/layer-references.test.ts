import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LAYERS, PURE_LAYERS } from '../../scripts/layers.ts';
import { toolCommand } from '../../scripts/tool-command.ts';
import { plantTree, REPO_ROOT } from './planted-tree.ts';

interface LayerConfig {
  readonly extends: string;
  readonly compilerOptions: { readonly types: readonly string[]; readonly composite?: boolean };
  readonly references: readonly { readonly path: string }[];
}

test('each layer has a project whose references are the arrows of the layer table', () => {
  const folders = readdirSync(join(REPO_ROOT, 'src'), { withFileTypes: true });
  assert.deepEqual(folders.map(({ name }) => name).sort(), Object.keys(LAYERS).sort());
  for (const [layer, imports] of Object.entries(LAYERS)) {
    const config = readJson(`src/${layer}/tsconfig.json`) as LayerConfig;
    assert.equal(config.extends, '../../tsconfig.base.json');
    assert.deepEqual(
      config.references.map(({ path }) => path).sort(),
      imports.map((name) => `../${name}`).sort(),
      layer,
    );
    if (PURE_LAYERS.includes(layer)) assert.deepEqual(config.compilerOptions.types, [], `${layer} is pure`);
  }
});

test('the solution builds every layer and the tests', () => {
  const { references } = readJson('tsconfig.json') as LayerConfig;
  const paths = references.map(({ path }) => path).sort();
  assert.deepEqual(paths, [...Object.keys(LAYERS).map((layer) => `./src/${layer}`), './tsconfig.tests.json'].sort());
});

test('types: a clean tree passes, and every file of every layer is compiled', () => {
  using tree = plantTree();
  assert.deepEqual(compile(tree.root), { status: 0, output: '' });
  const declarations = globSync('.tsbuild/*/*.d.ts', { cwd: tree.root }).sort();
  assert.deepEqual(
    declarations,
    Object.keys(LAYERS)
      .map((layer) => `.tsbuild/${layer}/${layer}-value.d.ts`)
      .sort(),
  );
});

for (const [layer, imports] of Object.entries(LAYERS)) {
  const forbidden = Object.keys(LAYERS).filter((other) => other !== layer && !imports.includes(other));
  if (forbidden.length === 0) continue;
  test(`types: ${layer} cannot import ${forbidden.join(', ')}`, () => {
    using tree = plantTree();
    for (const other of forbidden) {
      tree.write(`src/${layer}/leak-${other}.ts`, `export { ${other}Value } from '../${other}/${other}-value.ts';\n`);
    }
    const { status, output } = compile(tree.root, `src/${layer}`);
    assert.notEqual(status, 0);
    for (const other of forbidden) {
      assert.match(
        output,
        new RegExp(`src/${other}/${other}-value\\.ts.*is not (under 'rootDir'|listed within)`),
        output,
      );
    }
    // A leak must not leave declarations beside another layer's sources.
    assert.deepEqual(globSync('src/**/*.d.ts', { cwd: tree.root }), []);
  });
}

const impurities = {
  'a node module': "import fs from 'node:fs';\nexport const value: unknown = fs;\n",
  Buffer: 'export const value: unknown = Buffer;\n',
  'a timer': 'export const value: unknown = setTimeout;\n',
  'the environment': 'export const value: unknown = process.env;\n',
};
for (const layer of PURE_LAYERS) {
  for (const [name, text] of Object.entries(impurities)) {
    test(`types: ${layer} cannot use ${name}`, () => {
      using tree = plantTree();
      tree.write(`src/${layer}/impure.ts`, text);
      const { status, output } = compile(tree.root, `src/${layer}`);
      assert.notEqual(status, 0);
      assert.match(output, /impure\.ts.*error TS2(307|304|580|591)/);
    });
  }
}

const notErasable = {
  enum: 'export enum Colour {\n  Red,\n}\n',
  namespace: 'export namespace N {\n  export const a = 1;\n}\n',
  'a parameter property': 'export class C {\n  constructor(readonly a: number) {}\n}\n',
};
for (const [name, text] of Object.entries(notErasable)) {
  test(`types: syntax that Node cannot strip is refused: ${name}`, () => {
    using tree = plantTree();
    tree.write('src/base/not-erasable.ts', text);
    const { status, output } = compile(tree.root, 'src/base');
    assert.notEqual(status, 0);
    assert.match(output, /not-erasable\.ts.*error TS1294/);
  });
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(join(REPO_ROOT, file), 'utf8'));
}

function compile(cwd: string, project = '.'): { status: number | null; output: string } {
  const [command = '', ...args] = toolCommand('tsc', '-b', project, '--pretty', 'false');
  const result = spawnSync(command, args, { cwd, encoding: 'utf8' });
  return { status: result.status, output: result.stdout + result.stderr };
}
