import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ParserLimits } from '../../src/http1/limits.ts';
import { REFUSALS, type RefusalRule } from '../../src/http1/refusals.ts';
import {
  type Exchange,
  readRequests,
  readResponses,
  type ReadRequest,
  type ReadResponse,
} from '../support/http1-readers.ts';
import { splitEverywhere } from '../support/split-everywhere.ts';

/** Lines joined by CR LF, with the empty line that ends a head. */
export function head(...lines: string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** A request that nobody refuses: sent in front of bad ones, it must come out whole. */
const GOOD_REQUEST = head('POST /good HTTP/1.1', 'Host: good.test', 'Content-Length: 4') + 'good';

/**
 * The input, whole and split at every byte, alone and behind a good request, is refused for breaking `rule`, with that
 * rule's status; nothing of it is reported as a request unless `reported` says how many heads come out before.
 */
export function refusesRequest(
  name: string,
  rule: RefusalRule,
  input: string,
  options: { limits?: Partial<ParserLimits>; reported?: number } = {},
): void {
  const { limits = {}, reported = 0 } = options;
  test(`${name} ⇒ ${REFUSALS[rule].status} ${rule}`, () => {
    const alone = splitEverywhere(input, (pieces) => readRequests(pieces, limits));
    assert.equal(alone.refusal?.rule, rule);
    assert.equal(alone.refusal.status, REFUSALS[rule].status);
    assert.equal(alone.requests.length, reported);
    assert.equal(alone.requests.at(-1)?.isComplete ?? false, false);

    const second = splitEverywhere(GOOD_REQUEST + input, (pieces) => readRequests(pieces, limits));
    assert.equal(second.refusal?.rule, rule);
    assert.equal(second.requests.length, reported + 1);
    assert.equal(second.requests[0]?.body, 'good');
    assert.equal(second.requests[0].isComplete, true);
  });
}

/** The input, whole and split at every byte, is read as exactly these requests (each given by the fields that matter). */
export function readsRequests(
  name: string,
  input: string,
  expected: readonly Partial<ReadRequest>[],
  limits: Partial<ParserLimits> = {},
): void {
  test(name, () => {
    const { requests, refusal, isIdle } = splitEverywhere(input, (pieces) => readRequests(pieces, limits));
    assert.equal(refusal, null);
    assert.equal(requests.length, expected.length);
    for (const [index, request] of requests.entries()) {
      assert.deepEqual({ ...request, ...expected[index] }, request);
      if (expected[index]?.isComplete === undefined) assert.equal(request.isComplete, true);
    }
    if (expected.at(-1)?.isComplete === undefined) assert.equal(isIdle, true);
  });
}

/** As `refusesRequest`, for an answer: whatever the rule, our client gets a 502. */
export function refusesResponse(
  name: string,
  rule: RefusalRule,
  input: string,
  options: Exchange & { reported?: number } = {},
): void {
  test(`${name} ⇒ 502 ${rule}`, () => {
    const { responses, refusal } = splitEverywhere(input, (pieces) => readResponses(pieces, options));
    const failure = rule === 'cut_off' ? 'upstream_closed' : 'upstream_invalid_reply';
    assert.deepEqual(refusal, { rule, name: failure, status: 502 });
    assert.equal(responses.length, options.reported ?? 0);
  });
}

/** As `readsRequests`, for answers. */
export function readsResponses(
  name: string,
  input: string,
  expected: readonly Partial<ReadResponse>[],
  options: Exchange & { rest?: string } = {},
): void {
  test(name, () => {
    const { responses, refusal, rest } = splitEverywhere(input, (pieces) => readResponses(pieces, options));
    assert.equal(refusal, null);
    assert.equal(responses.length, expected.length);
    for (const [index, response] of responses.entries()) {
      assert.deepEqual({ ...response, ...expected[index] }, response);
      if (expected[index]?.isComplete === undefined) assert.equal(response.isComplete, true);
    }
    assert.equal(rest, options.rest ?? '');
  });
}
