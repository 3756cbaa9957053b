import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { test } from 'node:test';
import { testLauncher } from './launcher-cases.ts';

testLauncher(`this Node (${process.version})`, process.execPath, false);

// The installation suite runs the same cases on Node 18, 20, 22 and 24; here only what the machine has.
const older = olderNodeOfThisMachine();
if (older === undefined) {
  test('launcher on an older Node', { skip: 'this machine has none on its PATH; npm run test:install brings its own' });
} else {
  testLauncher(`an older Node (${older.version})`, older.path, true);
}

function olderNodeOfThisMachine(): { path: string; version: string } | undefined {
  const folders = (process.env.PATH ?? '').split(':').filter((folder) => !folder.includes('node_modules'));
  for (const path of folders.flatMap((folder) => globSync(`${folder}/node`))) {
    const version = spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout.trim();
    const major = Number(/^v(\d+)\./.exec(version)?.[1]);
    if (major >= 18 && major < 26) return { path, version };
  }
  return undefined;
}
