import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { closeIfQueueIsEmpty } from './close-listener.ts';

const BACKLOG = 128;

async function listening(host: string, serve: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer(serve);
  server.listen({ host, port: 0, backlog: BACKLOG });
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

async function outcome(socket: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let received = '';
  socket.on('data', (chunk) => (received += chunk.toString()));
  socket.on('end', () => resolve(received));
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  return promise;
}

describe('closing a listening socket', { skip: process.platform !== 'linux' }, () => {
  it('does not happen while somebody waits in its queue, who is served then', async () => {
    const { server, port } = await listening('127.0.0.1', (socket) => socket.end('served'));
    // Node connects in the next tick, before it is looked whether the queue is empty; nothing is accepted until then.
    const clients = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')];
    const outcomes = clients.map(outcome);
    assert.equal(await closeIfQueueIsEmpty(server, BACKLOG), false);
    assert.equal(server.listening, true);
    assert.deepEqual(await Promise.all(outcomes), ['served', 'served']);
    // The queue is as long as before.
    const more = Array.from({ length: 20 }, () => outcome(connect(port, '127.0.0.1')));
    assert.deepEqual(new Set(await Promise.all(more)), new Set(['served']));
    server.close();
  });

  for (const host of ['127.0.0.1', '0.0.0.0', '::1', '::']) {
    it(`on ${host}, with an empty queue, is done when it answers, and nobody is accepted any more`, async () => {
      const accepted: Socket[] = [];
      const { server, port } = await listening(host, (socket) => accepted.push(socket));
      assert.equal(await closeIfQueueIsEmpty(server, BACKLOG), true);
      assert.equal(server.listening, false);
      const address = host.includes(':') ? '::1' : '127.0.0.1';
      assert.equal(await outcome(connect(port, address)), 'ECONNREFUSED');
      assert.equal(accepted.length, 0);
    });
  }
});
