import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { BoundSocket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { ListenerSpec, ListenTarget } from '../contract/listener.ts';
import { bindListeners } from './bind-listeners.ts';
import { StartError } from './start-error.ts';

const directory = mkdtempSync(join(tmpdir(), 'slipstream-bind-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const spec = (target: ListenTarget): ListenerSpec => ({ target, tls: null, proxyProtocol: false });
const unix = (path: string, mode = 0o660): ListenerSpec => spec({ type: 'unix', path, mode });
const tcp = (host: string, port: number): ListenerSpec => spec({ type: 'tcp', host, port });

function refuses(pattern: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof StartError);
    assert.match(error.message, pattern);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  };
}

describe('Unix sockets', () => {
  it('have the mode asked for before anyone can connect, and are gone when closed', async () => {
    const path = join(directory, 'mode.sock');
    const [listener] = await bindListeners([unix(path, 0o600)], []);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(listener?.spec.isUnix, true);
    assert.equal(listener?.url, `unix:${path}`);
    listener?.close();
    assert.equal(existsSync(path), false);
  });

  it('replace one that nobody serves any more', async () => {
    const path = join(directory, 'stale.sock');
    // Bound, never listening, as what a killed process leaves behind.
    const stale = new BoundSocket({ path } as ConstructorParameters<typeof BoundSocket>[0]);
    const [listener] = await bindListeners([unix(path)], []);
    assert.ok(existsSync(path));
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.close();
    listener?.close();
    stale.close();
  });

  it('leave alone one that is served', async () => {
    const path = join(directory, 'served.sock');
    const server = createServer().listen(path);
    await once(server, 'listening');
    await assert.rejects(bindListeners([unix(path)], []), refuses(/another process serves it/));
    assert.ok(existsSync(path));
    server.close();
  });

  it('leave alone a file that is no socket', async () => {
    const path = join(directory, 'precious');
    writeFileSync(path, 'text');
    await assert.rejects(bindListeners([unix(path)], []), refuses(/no socket/));
    assert.equal(statSync(path).size, 4);
  });

  it('say why a folder that is missing is no place', async () => {
    await assert.rejects(
      bindListeners([unix(join(directory, 'none', 's.sock'))], []),
      refuses(/unix:.*(ENOENT|EACCES)/),
    );
  });
});

describe('several addresses', () => {
  it('are all bound or none', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const path = join(directory, 'all-or-none.sock');
    await assert.rejects(bindListeners([unix(path), tcp('127.0.0.1', port)], []), refuses(/already in use/));
    assert.equal(existsSync(path), false);
    taken.close();
  });

  it('may be IPv4 and IPv6 at the same port', { skip: !hasIpv6() && 'no IPv6 here' }, async () => {
    const [probe] = await bindListeners([tcp('0.0.0.0', 0)], []);
    const port = probe?.port ?? 0;
    probe?.close();
    const both = await bindListeners([tcp('::', port), tcp('0.0.0.0', port)], []);
    assert.deepEqual(
      both.map((listener) => listener.spec.name),
      [`[::]:${port}`, `0.0.0.0:${port}`],
    );
    for (const listener of both) listener.close();
  });
});

describe('sockets of systemd', () => {
  const inherited = [
    { fd: 3, name: 'web', path: null, port: 4000 },
    { fd: 4, name: 'local', path: '/run/s.sock', port: 0 },
  ];

  it('are taken by name, or all of them', async () => {
    const all = await bindListeners([spec({ type: 'systemd', name: null })], inherited);
    assert.deepEqual(
      all.map(({ fd, url, spec: { isUnix } }) => [fd, url, isUnix]),
      [
        [3, 'http://127.0.0.1:4000', false],
        [4, 'unix:/run/s.sock', true],
      ],
    );
    const [local] = await bindListeners([spec({ type: 'systemd', name: 'local' })], inherited);
    assert.equal(local?.fd, 4);
  });

  it('that were not passed are missed in words', async () => {
    await assert.rejects(bindListeners([spec({ type: 'systemd', name: 'x' })], inherited), refuses(/named "x"/));
    await assert.rejects(bindListeners([spec({ type: 'systemd', name: null })], []), refuses(/passed no sockets/));
  });
});

function hasIpv6(): boolean {
  try {
    new BoundSocket({ host: '::', port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}
