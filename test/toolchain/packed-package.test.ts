// What `npm pack` makes, installed as a dependency: JavaScript only, and it runs.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  cloneHead,
  makeTemporaryFolder,
  run,
  runPrintedCurl,
  startGateway,
  stopGateway,
  type TemporaryFolder,
} from './clean-checkout.ts';

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

void describe('the packed package', () => {
  const folder: TemporaryFolder = makeTemporaryFolder('pack');
  const checkout = cloneHead(folder);
  const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string };
  let packed: Packed;

  before(() => {
    run(['npm', 'ci', '--omit=dev'], { cwd: checkout });
    const output = run(['npm', 'pack', '--json', '--pack-destination', folder.path], { cwd: checkout });
    [packed] = JSON.parse(output) as [Packed];
    writeFileSync(join(folder.path, 'package.json'), '{ "name": "user", "private": true }\n');
    run(['npm', 'install', join(folder.path, packed.filename)], { cwd: folder.path });
  });
  after(() => folder[Symbol.dispose]());

  test('holds JavaScript, no TypeScript, no tests, no imports of .ts files', () => {
    const paths = packed.files.map(({ path }) => path);
    assert.ok(paths.includes('dist/cli/main.js'), paths.join());
    for (const path of paths) {
      assert.doesNotMatch(path, /\.ts$|\.test\.|^(src|test|scripts)\//);
      if (!path.startsWith('dist/')) continue;
      const text = readFileSync(join(folder.path, 'node_modules/slipstream', path), 'utf8');
      assert.doesNotMatch(text, /(from|import\(?)\s*['"][^'"]*\.ts['"]/, path);
    }
  });

  test('npx slipstream --version', () => {
    assert.equal(run(['npx', 'slipstream', '--version'], { cwd: folder.path }).trim(), `slipstream ${version}`);
  });

  test('the command starts, answers and ends', async () => {
    const command = [join(folder.path, 'node_modules/.bin/slipstream'), 'start', '--port', '{port}'];
    const running = await startGateway(command, { cwd: folder.path });
    assert.equal(runPrintedCurl(running).choices?.length, 1);
    await stopGateway(running);
  });
});
