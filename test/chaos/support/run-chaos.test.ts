import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';

const RUNNER = join(import.meta.dirname, 'run-chaos.ts');

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [RUNNER, ...args], { encoding: 'utf8' });
}

describe('npm run chaos', () => {
  it('has a scenario in each file of its folder, named after it', () => {
    const files = globSync('*.ts', { cwd: join(import.meta.dirname, '..') }).map((file) => basename(file, '.ts'));
    const { status, stdout } = run('--list');
    assert.equal(status, 0);
    const listed = stdout.trim().split('\n');
    assert.deepEqual(
      listed.map((line) => line.split(/\s+/)[0]),
      files.sort(),
    );
  });

  it('knows no others, exit 2', () => {
    const { status, stderr } = run('kill-everything');
    assert.equal(status, 2);
    assert.match(stderr, /no scenario kill-everything/);
  });
});
