import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { LAYERS } from '../../scripts/layers.ts';

export const REPO_ROOT: string = resolve(import.meta.dirname, '../..');

/** A small project with this one's configuration, in which violations are planted without touching the real tree. */
export interface PlantedTree extends Disposable {
  readonly root: string;
  write(file: string, text: string): void;
  remove(file: string): void;
}

const CONFIGURATION = [
  '.oxfmtrc.json',
  'knip.config.ts',
  'oxlint.config.ts',
  'package.json',
  'scripts/layers.ts',
  'tsconfig.base.json',
  'tsconfig.json',
  'tsconfig.tests.json',
  ...Object.keys(LAYERS).map((layer) => `src/${layer}/tsconfig.json`),
];

export function plantTree(): PlantedTree {
  const root = mkdtempSync(join(tmpdir(), 'slipstream-planted-'));
  const write = (file: string, text: string): void => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  };
  for (const file of CONFIGURATION) cpSync(join(REPO_ROOT, file), join(root, file));
  symlinkSync(join(REPO_ROOT, 'node_modules'), join(root, 'node_modules'));
  for (const layer of Object.keys(LAYERS)) write(`src/${layer}/${layer}-value.ts`, `export const ${layer}Value = 1;\n`);
  return {
    root,
    write,
    remove: (file) => rmSync(join(root, file)),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}
