import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { openDataDirectory } from './data-directory.ts';
import { StartError } from './start-error.ts';

const root = mkdtempSync(join(tmpdir(), 'slipstream-data-'));
after(() => rmSync(root, { recursive: true, force: true }));

const MODULE = JSON.stringify(new URL('data-directory.ts', import.meta.url).href);

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

describe('openDataDirectory', () => {
  it('makes everything for this user only', () => {
    const directory = openDataDirectory(join(root, 'a', 'b'), ['control', 'sidecar']);
    assert.equal(modeOf(directory.path), 0o700);
    assert.equal(modeOf(dirname(directory.controlSocketPath)), 0o700);
    assert.equal(dirname(directory.controlSocketPath), dirname(directory.adminSocketPath));
    assert.equal(modeOf(join(directory.path, 'control.lock')), 0o600);
    directory.release();
  });

  it('closes a directory that was open to others', () => {
    const path = join(root, 'open');
    mkdirSync(path, { mode: 0o755 });
    chmodSync(path, 0o755);
    openDataDirectory(path, []).release();
    assert.equal(modeOf(path), 0o700);
  });

  it('is refused while another process holds it, and free again once that is killed', async (t) => {
    const path = join(root, 'shared');
    const source = `
      import { openDataDirectory } from ${MODULE};
      openDataDirectory(${JSON.stringify(path)}, ['control', 'sidecar']);
      console.log('held');
      setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => holder.kill('SIGKILL'));
    await once(holder.stdout, 'data');
    assert.throws(
      () => openDataDirectory(path, ['control']),
      (error) =>
        error instanceof StartError &&
        error.message.includes(`(pid ${holder.pid})`) &&
        error.message.includes('--data-dir'),
    );
    // Another spelling of the same directory is the same directory.
    const link = join(root, 'link');
    symlinkSync(path, link);
    assert.throws(() => openDataDirectory(link, ['sidecar']), /in use by another slipstream/);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    openDataDirectory(path, ['control', 'sidecar']).release();
  });

  it('lets the two planes run apart', () => {
    const path = join(root, 'apart');
    const control = openDataDirectory(path, ['control']);
    const sidecar = openDataDirectory(path, ['sidecar']);
    assert.equal(control.controlSocketPath, sidecar.controlSocketPath);
    control.release();
    sidecar.release();
  });

  it('gives its locks back when it fails half way', () => {
    const path = join(root, 'half');
    const sidecar = openDataDirectory(path, ['sidecar']);
    assert.throws(() => openDataDirectory(path, ['control', 'sidecar']), StartError);
    const control = openDataDirectory(path, ['control']);
    control.release();
    sidecar.release();
  });

  it('moves sockets with long paths to a private folder under the temporary directory', () => {
    const path = join(root, 'long-'.padEnd(100, 'x'));
    const first = openDataDirectory(path, []);
    const second = openDataDirectory(path, []);
    assert.ok(Buffer.byteLength(first.controlSocketPath) <= 100);
    assert.equal(dirname(dirname(first.controlSocketPath)), tmpdir());
    assert.equal(first.controlSocketPath, second.controlSocketPath);
    assert.equal(modeOf(dirname(first.controlSocketPath)), 0o700);
    // Someone else could have made it first, open to all.
    chmodSync(dirname(first.controlSocketPath), 0o777);
    assert.throws(() => openDataDirectory(path, []), /not a private directory/);
    rmSync(dirname(first.controlSocketPath), { recursive: true });
  });

  it('says what is wrong with a path that cannot be used', () => {
    const file = join(root, 'file');
    writeFileSync(file, '');
    assert.throws(() => openDataDirectory(file, []), /cannot use the data directory .*\/file: E(EXIST|NOTDIR)/);
    assert.throws(() => openDataDirectory(join(file, 'below'), []), /cannot use the data directory/);
    assert.ok(existsSync(file));
  });
});
