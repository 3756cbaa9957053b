import { asBytes, type Bytes } from '../../base/bytes.ts';

/** Bytes on their way to a socket: latin1 text, parts, latin1 text. */
export interface Outgoing {
  readonly head: string;
  readonly parts: readonly Bytes[];
  readonly tail: string;
}

export function bytesOf(parts: readonly Bytes[]): number {
  let total = 0;
  for (const part of parts) total += part.length;
  return total;
}

/** Writes all of it to the beginning of `target`, which has room for it. */
export function assemble({ head, parts, tail }: Outgoing, target: Bytes): void {
  let at = head.length;
  target.latin1Write(head, 0, at);
  for (const part of parts) {
    target.set(part, at);
    at += part.length;
  }
  if (tail !== '') target.latin1Write(tail, at, tail.length);
}

/** The same in memory of its own. */
export function assembled(outgoing: Outgoing): Bytes {
  const bytes = asBytes(Buffer.allocUnsafe(outgoing.head.length + bytesOf(outgoing.parts) + outgoing.tail.length));
  assemble(outgoing, bytes);
  return bytes;
}
