// CPU of this process per write of 500 bytes to a loopback connection whose peer reads, kernel included: through Node's
// stream, and by SocketWriter. Eight writes in a turn of the loop, as a busy sidecar has them; rounds interleaved.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { asBytes } from '../../src/base/bytes.ts';
import { assembled, type Outgoing } from '../../src/sidecar/socket/outgoing.ts';
import { SocketWriter } from '../../src/sidecar/socket/socket-writer.ts';

const ROUNDS = 15;
const TURNS = 3_000;
const WRITES_IN_TURN = 8;
const CONNECTIONS = 8;
const OUTGOING: Outgoing = { head: 'h'.repeat(200), parts: [asBytes(Buffer.alloc(300, 97))], tail: '' };
/** Reads and forgets; ends with its stdin. */
const PEER = `
  const server = require('node:net').createServer((socket) => socket.on('error', () => {}).resume());
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
  process.stdin.on('end', () => process.exit()).resume();`;

const peer = spawn(process.execPath, ['-e', PEER], { stdio: ['pipe', 'pipe', 'inherit'] });
const [line] = (await once(peer.stdout, 'data')) as [Buffer];
const port = Number(line.toString());
const sockets = Array.from({ length: CONNECTIONS }, () =>
  connect({ host: '127.0.0.1', port, noDelay: true, autoSelectFamily: false }),
);
await Promise.all(sockets.map((socket) => once(socket, 'connect')));
const writers = sockets.map((socket) => new SocketWriter(socket));

const ways: readonly { readonly name: string; readonly write: (index: number) => void }[] = [
  { name: "Node's stream", write: (index) => void sockets[index]!.write(assembled(OUTGOING)) },
  { name: 'SocketWriter', write: (index) => void writers[index]!.send(OUTGOING) },
];
const roundsOf = ways.map((): number[] => []);
for (let round = -2; round < ROUNDS; round += 1) {
  for (const [at, { write }] of ways.entries()) {
    const us = await microsecondsPerWrite(write);
    if (round >= 0) roundsOf[at]!.push(us);
  }
}
for (const [at, { name }] of ways.entries()) {
  const median = roundsOf[at]!.toSorted((a, b) => a - b)[ROUNDS >> 1] ?? Number.NaN;
  console.log(`${name.padEnd(20)} ${median.toFixed(2).padStart(6)} µs`);
}
for (const socket of sockets) socket.destroy();
peer.stdin.end();

async function microsecondsPerWrite(write: (index: number) => void): Promise<number> {
  const before = process.cpuUsage();
  for (let turn = 0; turn < TURNS; turn += 1) {
    for (let index = 0; index < WRITES_IN_TURN; index += 1) write(index);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / (TURNS * WRITES_IN_TURN);
}
