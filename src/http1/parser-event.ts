/**
 * What a parser's `next` found. The caller calls `next` until it answers `NeedMore` (also with nothing left of the
 * chunk: the `End` of a message needs no byte of its own), `Error`, or an `End` after which it wants to stop.
 *
 *     NeedMore ─► Head ─► Body* ─► End ─► (next message) …          Error is sticky
 */
export const ParserEvent = {
  /** All that was passed is consumed; nothing more to report. */
  NeedMore: 0,
  /** `head` is filled in. */
  Head: 1,
  /** Body bytes, never empty, lie at `bodyStart`–`bodyEnd` of the chunk just passed. */
  Body: 2,
  /** The message is complete. */
  End: 3,
  /** The bytes are refused: `error` says why. The connection's framing is unknown from here on; close it. */
  Error: 4,
} as const;

export type ParserEvent = (typeof ParserEvent)[keyof typeof ParserEvent];
