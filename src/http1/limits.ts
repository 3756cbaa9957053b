/** Bounds on what a peer can make us hold or work through. Body sizes are the caller's to bound. */
export interface ParserLimits {
  /** Start line, field lines and the empty line, in bytes. */
  readonly maxHeadBytes: number;
  /** Field lines of one head, and of one trailer section. */
  readonly maxHeaders: number;
  /** Of one chunk: from the `;` to the CR, in bytes. */
  readonly maxChunkExtensionBytes: number;
  /** The trailer section with its empty line, in bytes. */
  readonly maxTrailerBytes: number;
}

/** Longer than any registered method (UPDATEREDIRECTREF has 17). */
export const MAX_METHOD_BYTES = 24;

/** One or two 100 and 103 are usual; a provider that sends more only keeps a request from timing out. */
export const MAX_INTERIM_RESPONSES = 16;

export const DEFAULT_LIMITS: ParserLimits = Object.freeze({
  // Tokens of identity providers, tracing baggage and cookies reach 8–16 KiB; nginx takes 32 KiB, node:http 16 KiB.
  maxHeadBytes: 32 * 1024,
  // Coding agents send about 30, large provider replies about 40.
  maxHeaders: 128,
  // AWS signs each chunk in an 85-byte extension; nothing else uses them.
  maxChunkExtensionBytes: 256,
  // Trailers are dropped: what legitimate ones carry (checksums, timings) is far smaller.
  maxTrailerBytes: 8 * 1024,
});
