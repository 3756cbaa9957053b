// Every request that we accept, node:http must read the same way: method, target, version, headers, body, and where the
// next one begins. What we refuse is not compared; that we refuse enough is what test/conformance is for.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { type ReadRequest, readRequests } from '../support/http1-readers.ts';
import { pieces } from '../support/split-everywhere.ts';
import { FUZZ_MILLISECONDS } from './fuzz-budget.ts';
import { requestStream } from './http1-request-arbitrary.ts';
import { NodeHttpPeer, type NodeReading, type NodeRequest } from './node-http-peer.ts';

/** What node:http may do with a request that we accept. Each with its reason; anything else is a finding. */
const INTENDED: readonly {
  readonly why: string;
  applies(ours: ReadRequest, theirs: NodeReading, text: string): boolean;
}[] = [
  {
    why: 'node:http knows a fixed list of methods; for us any token is one (RFC 9110 §9.1), and the router answers 405.',
    applies: (ours, { error }) => error === 'HPE_INVALID_METHOD' && !NODE_METHODS.has(ours.method),
  },
  {
    why: 'node:http waits for the rest of an HTTP/2 preface behind the method PRI, in whatever version it is asked.',
    applies: (ours, { error }) => ours.method === 'PRI' && error !== null,
  },
  {
    why: 'node:http obeys Proxy-Connection: close; RFC 9112 appendix C.2.2 has servers ignore that header, and we do.',
    applies: (_ours, { error }, text) => error === 'HPE_CLOSED_CONNECTION' && /^proxy-connection:.*close/im.test(text),
  },
  {
    why: 'node:http refuses whitespace in a chunk extension; RFC 9112 §7.1.1 has us take it (BWS), and we drop it all.',
    // It keeps quiet about the error in a request that asks for an upgrade.
    applies: (ours, { error }, text) =>
      ours.framing === 'chunked' &&
      (error === 'HPE_STRICT' || (error === null && ours.upgrade)) &&
      /;[^\r\n]*[ \t]/.test(text),
  },
];
const NODE_METHODS = new Set((await import('node:http')).METHODS);

let peer: NodeHttpPeer;
before(async () => {
  peer = await NodeHttpPeer.listen();
});
after(() => peer.close());

/** The part of our reading that node:http has too. */
function common(ours: ReadRequest): NodeRequest {
  const { method, target, minor, headers, body, isComplete } = ours;
  return { method, target, minor, headers, body, isComplete };
}

test('node:http reads what we accept as we do', async (t) => {
  let accepted = 0;
  const excused = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(requestStream, async (text) => {
      const bytes = Buffer.from(text, 'latin1');
      const ours = readRequests(pieces(bytes, [0, bytes.length]));
      if (ours.requests.length === 0) return;
      const theirs = await peer.read(bytes);
      for (const [index, request] of ours.requests.entries()) {
        if (!request.isComplete) break;
        const excuse = INTENDED.find(
          (known) => theirs.requests[index]?.isComplete !== true && known.applies(request, theirs, text),
        );
        if (excuse !== undefined) {
          excused.set(excuse.why, (excused.get(excuse.why) ?? 0) + 1);
          return;
        }
        assert.deepEqual(theirs.requests[index], common(request), `request ${index}; node:http: ${theirs.error}`);
        accepted++;
        // The connection, or HTTP on it, ends here: what follows is served by neither of us.
        if (!request.keepAlive || request.upgrade) return;
      }
      if (ours.refusal === null) {
        const complete = theirs.requests.filter((request) => request.isComplete);
        assert.equal(complete.length, ours.requests.filter((request) => request.isComplete).length, 'no request more');
      }
    }),
    { numRuns: 10_000_000, interruptAfterTimeLimit: FUZZ_MILLISECONDS, markInterruptAsFailure: false },
  );
  t.diagnostic(`${accepted} requests read alike`);
  for (const [why, count] of excused) t.diagnostic(`${count} × ${why}`);
  assert.ok(accepted > 10, `only ${accepted} requests were accepted`);
});
