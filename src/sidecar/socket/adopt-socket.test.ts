import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { adoptSocket } from './adopt-socket.ts';

describe('adoptSocket', () => {
  it('reads an accepted socket to the buffer named before each read, and writes, pauses and ends as usual', async () => {
    const buffers = [Buffer.alloc(64 * 1024), Buffer.alloc(2)];
    let asked = 0;
    const read: string[] = [];
    const server = createServer({ pauseOnConnect: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [accepted] = (await once(server, 'connection')) as [Socket];
    const nextBuffer = (): Buffer => {
      asked += 1;
      return buffers[(asked - 1) % 2]!;
    };
    const socket = adoptSocket(accepted, nextBuffer, (length) => {
      const buffer = buffers[(asked - 1) % 2]!;
      read.push(buffer.toString('latin1', 0, length));
      socket?.write(`echo ${read.at(-1) ?? ''}`);
    });
    assert.ok(socket !== null, "this Node's sockets are as expected: no fall-back to 'data' events");
    const ended = once(socket, 'end');
    client.write('one');
    socket.resume();
    const [echo] = (await once(client, 'data')) as [Buffer];
    assert.equal(echo.toString(), 'echo one');
    assert.equal(socket.remoteAddress, '127.0.0.1');

    socket.pause();
    client.write('two');
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(read, ['one'], 'nothing is read while paused');
    socket.resume();
    await once(client, 'data');
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(read, ['one', 'tw', 'o'], 'the second buffer has room for two bytes');

    client.end();
    await ended;
    socket.destroy();
    await once(socket, 'close');
    server.close();
  });
});
