import { asBytes, type Bytes } from '../../base/bytes.ts';

/** Up to here one copy into one buffer and one write(2) is cheaper than a writev of its pieces. */
const MAX_COPIED_BYTES = 64 * 1024;

/** Bytes on their way to a socket: latin1 text, parts, latin1 text. */
export interface Outgoing {
  readonly head: string;
  readonly parts: readonly Bytes[];
  readonly tail: string;
}

/** A socket as far as `sendOutgoing` needs it; each method as in `node:net`. */
export interface ByteSink {
  write(bytes: Uint8Array): boolean;
  cork(): void;
  uncork(): void;
}

export function bytesOf(parts: readonly Bytes[]): number {
  let total = 0;
  for (const part of parts) total += part.length;
  return total;
}

/** @returns false if the sink wants no more until it drains. */
export function sendOutgoing(sink: ByteSink, { head, parts, tail }: Outgoing): boolean {
  const bodyBytes = bytesOf(parts);
  if (bodyBytes <= MAX_COPIED_BYTES) return sink.write(assemble(head, parts, tail, bodyBytes));
  sink.cork();
  let ready = true;
  if (head !== '') ready = sink.write(Buffer.from(head, 'latin1'));
  for (const part of parts) ready = sink.write(part);
  if (tail !== '') ready = sink.write(Buffer.from(tail, 'latin1'));
  sink.uncork();
  return ready;
}

function assemble(head: string, parts: readonly Bytes[], tail: string, bodyBytes: number): Uint8Array {
  const buffer = asBytes(Buffer.allocUnsafe(head.length + bodyBytes + tail.length));
  let at = head.length;
  buffer.latin1Write(head, 0, at);
  for (const part of parts) {
    buffer.set(part, at);
    at += part.length;
  }
  if (tail !== '') buffer.latin1Write(tail, at, tail.length);
  return buffer;
}
