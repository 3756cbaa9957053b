import assert from 'node:assert/strict';
import { spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connect } from 'node:tls';

const MOCK_PROCESS = join(import.meta.dirname, 'mock-process.ts');

function run(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [MOCK_PROCESS, ...args], { encoding: 'utf8' });
}

describe('slipstream mock', () => {
  it('says in one line what is wrong with its flags, exit 2', () => {
    for (const [args, part] of [
      [['--prot', '1'], '--port'],
      [['--port', '70000'], '--port'],
      [['--tokens', 'many'], '--tokens'],
      [['--error', 'no'], 'head-only'],
      [['--fail-rate', '2'], '--fail-rate'],
      [['extra'], 'extra'],
    ] as const) {
      const { status, stderr, stdout } = run(...args);
      assert.equal(status, 2, args.join(' '));
      assert.equal(stdout, '');
      assert.match(stderr, /^slipstream mock: [^\n]+\n$/);
      assert.ok(stderr.includes(part), stderr);
    }
  });

  it('has help', () => {
    const { status, stdout } = run('--help');
    assert.equal(status, 0);
    assert.ok(stdout.includes('--token-interval-ms'));
  });

  it('serves HTTPS, with a certificate of its own', async () => {
    const child = spawn(process.execPath, [MOCK_PROCESS, '--port', '0', '--tls']);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const port = Number(/https:\/\/\S+:(\d+)/.exec(line.toString())?.[1]);
    const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    assert.equal(socket.getPeerCertificate().subject.CN, 'localhost');
    socket.end('GET /v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    const [reply] = (await once(socket, 'data')) as [Buffer];
    assert.match(reply.toString('latin1'), /^HTTP\/1\.1 200 /);
    socket.destroy();
    child.kill('SIGTERM');
    await once(child, 'exit');
  });

  it('prints its address, takes its settings and ends on SIGTERM with 0', async () => {
    const child = spawn(process.execPath, [MOCK_PROCESS, '--port', '0', '--status', '429', '--retry-after', '3']);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const url = /http:\S+/.exec(line.toString())?.[0] ?? '';
    const reply = await fetch(`${url}/v1/models`);
    assert.deepEqual([reply.status, reply.headers.get('retry-after')], [429, '3']);
    await reply.arrayBuffer();
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [0, null]);
  });
});
