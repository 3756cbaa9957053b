// A provider with faults, in a process of its own, on a raw socket. argv: log file. Ends with its parent.
import { openSync, writeSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { FAULTS, type FaultName } from './faults.ts';

const log = openSync(process.argv[2] ?? '', 'a', 0o600);
const server = createServer({ noDelay: true, allowHalfOpen: true }, serve);
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  process.stdout.write(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
process.once('disconnect', () => process.exit(0));
process.once('SIGTERM', () => process.exit(0));

function serve(socket: Socket): void {
  let input: Buffer = Buffer.alloc(0);
  let earlier = 0;
  socket.on('error', () => undefined);
  // The other side has ended: whatever was under way has nobody to go to.
  socket.on('end', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    input = input.length === 0 ? chunk : Buffer.concat([input, chunk]);
    for (;;) {
      const headEnd = input.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      const head = input.toString('latin1', 0, headEnd);
      const end = headEnd + 4 + Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (input.length < end) return;
      answer(socket, head, input.toString('latin1', headEnd + 4, end), earlier);
      earlier += 1;
      input = input.subarray(end);
    }
  });
}

function answer(socket: Socket, head: string, body: string, earlier: number): void {
  const fault = /^POST \/([\w-]+)\/v1\//.exec(head)?.[1] ?? 'none';
  const nonce = /"(nonce-\d{10})"/.exec(body)?.[1] ?? 'nonce-0000000000';
  writeSync(log, `${JSON.stringify({ nonce, fault, earlier })}\n`);
  FAULTS[fault as FaultName]({ socket, nonce, stream: /"stream":true/.test(body), earlier });
}
