import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { test } from 'node:test';
import { LAYERS } from '../../scripts/layers.ts';
import { toolCommand } from '../../scripts/tool-command.ts';
import { plantTree } from './planted-tree.ts';

interface Violation {
  readonly file: string;
  readonly rule: string;
  readonly text: string;
}

const violations: readonly Violation[] = [
  {
    file: 'src/control/floating-promise.ts',
    rule: 'no-floating-promises',
    text: 'async function work(): Promise<void> {}\nexport function run(): void {\n  work();\n}\n',
  },
  {
    file: 'src/control/floating-promise.test.ts',
    rule: 'no-floating-promises',
    text: 'async function work(): Promise<void> {}\nexport function run(): void {\n  work();\n}\n',
  },
  {
    file: 'src/control/misused-promise.ts',
    rule: 'no-misused-promises',
    text: 'export function run(values: number[]): void {\n  values.forEach(async (value) => { await Promise.resolve(value); });\n}\n',
  },
  {
    file: 'src/domain/partial-switch.ts',
    rule: 'switch-exhaustiveness-check',
    text: "export function f(kind: 'a' | 'b'): number {\n  switch (kind) {\n    case 'a':\n      return 1;\n  }\n  return 0;\n}\n",
  },
  { file: 'src/control/any.ts', rule: 'no-explicit-any', text: 'export const value: any = 1;\n' },
  {
    file: 'src/control/default-export.ts',
    rule: 'no-default-export',
    text: 'const value = 1;\nexport default value;\n',
  },
  { file: 'src/control/CamelCase.ts', rule: 'filename-case', text: 'export const value = 1;\n' },
  { file: 'src/control/barrel.ts', rule: 'no-barrel-file', text: "export * from './control-value.ts';\n" },
  { file: 'src/control/index-import.ts', rule: 'no-restricted-imports', text: "import './more/index.ts';\n" },
  {
    file: 'src/control/long-file.ts',
    rule: 'max-lines',
    text: Array.from({ length: 601 }, (_, i) => `export const value${i} = ${i};\n`).join(''),
  },
  { file: 'src/control/long-function.ts', rule: 'max-lines-per-function', text: longFunction(61) },
  { file: 'src/sidecar/long-hot-function.ts', rule: 'max-lines-per-function', text: longFunction(121) },
  { file: 'src/control/parameters.ts', rule: 'max-params', text: parameters(5) },
  { file: 'src/http1/parameters.ts', rule: 'max-params', text: parameters(6) },
  { file: 'src/control/console.ts', rule: 'no-console', text: "console.log('x');\n" },
  {
    file: 'src/control/throw-text.ts',
    rule: 'only-throw-error',
    text: "export function f(): never {\n  throw 'x';\n}\n",
  },
  { file: 'src/control/todo.ts', rule: 'no-warning-comments', text: '// TODO later\nexport const value = 1;\n' },
  { file: 'src/control/test-import.ts', rule: 'no-restricted-imports', text: "import '../../test/helper.ts';\n" },
  // The request path is synchronous.
  {
    file: 'src/sidecar/async-method.ts',
    rule: 'no-async-await',
    text: 'export class Handler {\n  async handle(): Promise<void> {}\n}\n',
  },
  {
    file: 'src/http1/for-await.ts',
    rule: 'no-async-await',
    text: 'export async function read(source: AsyncIterable<number>): Promise<void> {\n  for await (const chunk of source) void chunk;\n}\n',
  },
  {
    file: 'src/sidecar/web-stream.ts',
    rule: 'no-restricted-globals',
    text: 'export const stream = new TransformStream();\n',
  },
  { file: 'src/sidecar/fetch.ts', rule: 'no-restricted-globals', text: 'export const answer = fetch;\n' },
  // The domain is pure.
  { file: 'src/domain/clock.ts', rule: 'no-restricted-properties', text: 'export const now = Date.now();\n' },
  { file: 'src/base/random.ts', rule: 'no-restricted-properties', text: 'export const id = Math.random();\n' },
  {
    file: 'src/domain/node-import.ts',
    rule: 'no-restricted-imports',
    text: "import fs from 'node:fs';\nexport const f = fs;\n",
  },
  {
    file: 'src/base/package-import.ts',
    rule: 'no-restricted-imports',
    text: "import { z } from 'zod';\nexport const f = z;\n",
  },
  ...Object.keys(LAYERS).map((layer) => ({
    file: `src/${layer}/tool-import.ts`,
    rule: 'no-restricted-imports',
    text: "import '../../scripts/tool-command.ts';\n",
  })),
  ...['contract', 'http1', 'runtime', 'sidecar'].map((layer) => ({
    file: `src/${layer}/package-import.ts`,
    rule: 'no-restricted-imports',
    text: "import { z } from 'zod';\n\nexport const f = z;\n",
  })),
  ...forbiddenLayerImports(),
];

const allowed: readonly { readonly file: string; readonly text: string }[] = [
  ...Object.entries(LAYERS).flatMap(([layer, imports]) =>
    imports.map((other) => ({
      file: `src/${layer}/good-import-of-${other}.ts`,
      text: `import { ${other}Value } from '../${other}/${other}-value.ts';\n\nexport const copy = ${other}Value;\n`,
    })),
  ),
  {
    file: 'src/sidecar/sidecar-main.ts',
    text: 'export async function startSidecar(): Promise<void> {\n  await Promise.resolve();\n}\n',
  },
  {
    file: 'src/domain/good.test.ts',
    text: "import { test } from 'node:test';\n\ntest('a test may use node and need not await', () => {});\n",
  },
  {
    file: 'src/sidecar/node-import.ts',
    text: "import { connect } from 'node:net';\n\nexport const f = connect;\n",
  },
  {
    file: 'src/control/package-import.ts',
    text: "import { z } from 'zod';\n\nexport const f = z;\n",
  },
  { file: 'src/sidecar/support.test.ts', text: "import '../../test/support/raw-client.ts';\n" },
  { file: 'src/http1/five-parameters.ts', text: parameters(5) },
  { file: 'src/http1/long-hot-function.ts', text: longFunction(119) },
];

test('lint refuses each planted violation, and nothing else', () => {
  using tree = plantTree();
  tree.write('src/control/cycle-a.ts', "import { b } from './cycle-b.ts';\n\nexport const a = (): number => b();\n");
  tree.write('src/control/cycle-b.ts', "import { a } from './cycle-a.ts';\n\nexport const b = (): number => a();\n");
  for (const { file, text } of [...violations, ...allowed]) tree.write(file, text);

  const { status, found, numberOfFiles } = lint(tree.root);

  assert.equal(status, 1);
  assert.equal(numberOfFiles, globSync(['src/**/*.ts', '*.ts', 'scripts/*.ts'], { cwd: tree.root }).length);
  for (const { file, rule } of violations) {
    assert.ok(found.get(file)?.has(rule), `${file} should break ${rule}, found ${[...(found.get(file) ?? [])].join()}`);
  }
  assert.ok(found.get('src/control/cycle-a.ts')?.has('no-cycle'));
  for (const { file } of allowed) assert.deepEqual([...(found.get(file) ?? [])], [], file);
});

test('lint passes a clean tree', () => {
  using tree = plantTree();
  const { status, found } = lint(tree.root);
  assert.deepEqual([...found.entries()], []);
  assert.equal(status, 0);
});

function forbiddenLayerImports(): Violation[] {
  const found: Violation[] = [];
  for (const [layer, imports] of Object.entries(LAYERS)) {
    for (const other of Object.keys(LAYERS)) {
      if (other === layer || imports.includes(other)) continue;
      const from = `../${other}/${other}-value.ts`;
      const file = (form: string): string => `src/${layer}/${form}-import-of-${other}.ts`;
      const rule = 'no-restricted-imports';
      found.push(
        {
          file: file('static'),
          rule,
          text: `import { ${other}Value } from '${from}';\n\nexport const v = ${other}Value;\n`,
        },
        { file: file('type'), rule, text: `import type { X } from '${from}';\n\nexport type Y = X;\n` },
        { file: file('re-export'), rule, text: `export { ${other}Value } from '${from}';\n` },
        { file: `src/${layer}/deep/import-of-${other}.ts`, rule, text: `import '../${from}';\n` },
        { file: file('dynamic'), rule, text: `export const v = (): unknown => import('${from}');\n` },
      );
    }
  }
  return found;
}

function longFunction(lines: number): string {
  const body = Array.from({ length: lines - 2 }, (_, i) => `  values.push(${i});\n`).join('');
  return `export function long(values: number[]): void {\n${body}}\n`;
}

function parameters(count: number): string {
  const names = Array.from({ length: count }, (_, i) => `p${i}`);
  return `export function many(${names.map((name) => `${name}: number`).join(', ')}): number {\n  return ${names.join(' + ')};\n}\n`;
}

interface LintReport {
  readonly diagnostics: readonly { readonly code?: string; readonly filename: string }[];
  readonly number_of_files: number;
}

function lint(cwd: string): { status: number | null; found: Map<string, Set<string>>; numberOfFiles: number } {
  const [command = '', ...args] = toolCommand('oxlint', '--format=json');
  const result = spawnSync(command, args, { cwd, encoding: 'utf8' });
  assert.ok(result.stdout.startsWith('{'), result.stdout + result.stderr);
  const report = JSON.parse(result.stdout) as LintReport;
  const found = new Map<string, Set<string>>();
  for (const { code = '', filename } of report.diagnostics) {
    const rules = found.get(filename) ?? new Set();
    found.set(filename, rules.add(/\((.*)\)/.exec(code)?.[1] ?? code));
  }
  return { status: result.status, found, numberOfFiles: report.number_of_files };
}
