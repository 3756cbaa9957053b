import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readTraceParent } from './trace-parent.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const GOOD = `00-${TRACE}-${SPAN}-01`;

describe('readTraceParent', () => {
  it('reads version 00, and what is known of later ones', () => {
    const ids = { traceId: TRACE, spanId: SPAN };
    assert.deepEqual(readTraceParent(GOOD), ids);
    assert.deepEqual(readTraceParent(`cc-${TRACE}-${SPAN}-00`), ids);
    assert.deepEqual(readTraceParent(`01-${TRACE}-${SPAN}-01-what-the-future-brings`), ids);
  });

  for (const [what, text] of [
    ['nothing', ''],
    ['too short', GOOD.slice(0, -1)],
    ['version 00 with more', `${GOOD}-00`],
    ['a later version that goes on without a dash', `01-${TRACE}-${SPAN}-01x`],
    ['version ff', `ff-${TRACE}-${SPAN}-01`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a parent id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['upper case', GOOD.toUpperCase()],
    ['another separator', GOOD.replaceAll('-', '_')],
    ['flags that are no hex', `00-${TRACE}-${SPAN}-0g`],
    ['a version that is no hex', `0x-${TRACE}-${SPAN}-01`],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.equal(readTraceParent(text), null);
    });
  }

  it('refuses a wrong character at every place', () => {
    for (let at = 0; at < GOOD.length; at += 1) {
      for (const wrong of ['G', ' ', '"', '\u0100']) {
        assert.equal(readTraceParent(GOOD.slice(0, at) + wrong + GOOD.slice(at + 1)), null);
      }
    }
  });
});
