// Whatever bytes come: cut anywhere, they are read the same way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readRequests, readResponses } from '../support/http1-readers.ts';
import { pieces } from '../support/split-everywhere.ts';
import { FUZZ_MILLISECONDS } from './fuzz-budget.ts';
import { requestStream } from './http1-request-arbitrary.ts';

const cuts = fc.uniqueArray(fc.nat({ max: 400 }), { maxLength: 12 });
// With small limits, the ends of what is allowed come up too.
const limits = fc.constantFrom(
  {},
  { maxHeadBytes: 64 },
  { maxHeaders: 2, maxTrailerBytes: 8, maxChunkExtensionBytes: 3 },
);
const budget = { numRuns: 1_000_000, interruptAfterTimeLimit: FUZZ_MILLISECONDS / 2, markInterruptAsFailure: false };

/** A fault in a line that was split is found when its LF is there: so the last line of the input has one. */
function endLine(text: string): Buffer {
  return Buffer.from(`${text}\n`, 'latin1');
}

function cutAt(bytes: Uint8Array, offsets: readonly number[]): number[] {
  const inside = offsets.filter((offset) => offset > 0 && offset < bytes.length).sort((a, b) => a - b);
  return [0, ...inside, bytes.length];
}

test('requests, good and bad, are read the same way wherever they are cut', () => {
  let accepted = 0;
  fc.assert(
    fc.property(requestStream, cuts, limits, (text, offsets, bounds) => {
      const bytes = endLine(text);
      const whole = readRequests(pieces(bytes, [0, bytes.length]), bounds);
      accepted += whole.requests.length;
      assert.deepEqual(readRequests(pieces(bytes, cutAt(bytes, offsets)), bounds), whole);
    }),
    budget,
  );
  assert.ok(accepted > 10, `only ${accepted} requests were good`);
});

test('answers, good and bad, are read the same way wherever they are cut', () => {
  let accepted = 0;
  const statusLine = fc.constantFrom(
    'HTTP/1.1 200 OK',
    'HTTP/1.1 204',
    'HTTP/1.0 200 OK',
    'HTTP/1.1 101 x',
    'HTTP/1.1 100 ',
  );
  const asks = fc.array(fc.record({ method: fc.constantFrom('GET', 'HEAD', 'CONNECT'), upgrade: fc.boolean() }), {
    minLength: 1,
    maxLength: 3,
  });
  fc.assert(
    fc.property(requestStream, statusLine, cuts, asks, (text, line, offsets, asked) => {
      // The same fields and bodies, under a status line.
      const bytes = endLine(text.replaceAll(/^(POST|GET|PUT|HEAD|OPTIONS) .*$/gm, line));
      const exchange = { asks: asked, closes: true };
      const whole = readResponses(pieces(bytes, [0, bytes.length]), exchange);
      accepted += whole.responses.length;
      assert.deepEqual(readResponses(pieces(bytes, cutAt(bytes, offsets)), exchange), whole);
    }),
    budget,
  );
  assert.ok(accepted > 10, `only ${accepted} answers were good`);
});
