// The launcher on each Node that a user may have: with and without process.execve, with and without type stripping.
import { after } from 'node:test';
import { join } from 'node:path';
import { testLauncher } from '../launcher/launcher-cases.ts';
import { makeTemporaryFolder, run } from './clean-checkout.ts';

/** 22.15 brought process.execve: before it the launcher stays as a parent. */
const VERSIONS = ['18.20.8', '20.19.6', '22.14.0', '22.23.3', '24.21.0'];

const folder = makeTemporaryFolder('old-nodes');
after(() => folder[Symbol.dispose]());

const packageName = `node-${process.platform}-${process.arch}`;
const wanted = VERSIONS.map((version) => `node-${version}@npm:${packageName}@${version}`);
run(['npm', 'install', '--no-save', '--no-bin-links', '--prefix', folder.path, ...wanted], { cwd: folder.path });

for (const version of VERSIONS) {
  testLauncher(`Node ${version}`, join(folder.path, 'node_modules', `node-${version}`, 'bin/node'), true);
}
