import { asBytes, type Bytes } from '../base/bytes.ts';

// Node's global, of which this layer needs one function; `node:*` types stay out.
declare const Buffer: { allocUnsafeSlow(byteCount: number): Uint8Array };

/** New memory with undefined content, outside of Node's pool: it may live as long as a connection. */
export function allocateBytes(byteCount: number): Bytes {
  return asBytes(Buffer.allocUnsafeSlow(byteCount));
}
