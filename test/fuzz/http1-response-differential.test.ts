// The same for answers: what we accept from a provider, node:http's client must read as we do.
import assert from 'node:assert/strict';
import { request, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { readResponses, type ReadResponse } from '../support/http1-readers.ts';
import { pieces } from '../support/split-everywhere.ts';
import { FUZZ_MILLISECONDS } from './fuzz-budget.ts';
import { responseText } from './http1-response-arbitrary.ts';

/** As in http1-differential.test.ts: where node:http refuses what we accept. */
const INTENDED: readonly { readonly why: string; applies(ours: ReadResponse, text: string): boolean }[] = [
  {
    why: 'node:http refuses whitespace in a chunk extension; RFC 9112 §7.1.1 has us take it (BWS), and we drop it all.',
    applies: (ours, text) => ours.framing === 'chunked' && /;[^\r\n]*[ \t]/.test(text),
  },
];

type Theirs = Pick<ReadResponse, 'status' | 'minor' | 'headers' | 'body' | 'isComplete'>;

let server: Server;
let answer: Uint8Array = new Uint8Array();
before(async () => {
  server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', () => socket.end(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
after(() => server.close());

/** What node:http's client makes of `answer` to a request; null if it reports an error before the head. */
function readAsNode(method: string): Promise<Theirs | null> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve) => {
    const asked = request({ port, host: '127.0.0.1', method, agent: false, maxHeaderSize: 64 * 1024 });
    asked.on('error', () => resolve(null));
    asked.on('response', (reply: IncomingMessage) => {
      const headers = [];
      for (let i = 0; i < reply.rawHeaders.length; i += 2) {
        headers.push([reply.rawHeaders[i]!.toLowerCase(), reply.rawHeaders[i + 1]!] as const);
      }
      const read = { status: reply.statusCode ?? 0, minor: reply.httpVersionMinor, headers, body: '' };
      reply.setEncoding('latin1');
      reply.on('data', (text: string) => (read.body += text));
      reply.on('error', () => undefined);
      reply.on('close', () => resolve({ ...read, isComplete: reply.complete }));
    });
    asked.end();
  });
}

test('node:http reads the answers we accept as we do', async (t) => {
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('GET', 'POST', 'HEAD'), responseText, async (method, text) => {
      answer = Buffer.from(text, 'latin1');
      const { responses, refusal } = readResponses(pieces(answer, [0, answer.length]), {
        asks: [{ method }],
        closes: true,
      });
      const ours = responses[0];
      if (ours === undefined || refusal !== null) return;
      const { status, minor, headers, body, isComplete } = ours;
      const theirs = await readAsNode(method);
      if (theirs?.isComplete !== true && INTENDED.some((known) => known.applies(ours, text))) return;
      assert.deepEqual(theirs, { status, minor, headers, body, isComplete });
      accepted++;
    }),
    { numRuns: 10_000_000, interruptAfterTimeLimit: FUZZ_MILLISECONDS, markInterruptAsFailure: false },
  );
  t.diagnostic(`${accepted} answers read alike`);
  assert.ok(accepted > 10, `only ${accepted} answers were accepted`);
});
