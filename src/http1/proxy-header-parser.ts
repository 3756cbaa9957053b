import { formatIpAddress, parseIpAddress } from '../base/ip-address.ts';
import { allocateBytes } from './allocate-bytes.ts';

/**
 * The header that load balancers put before the first byte of a connection (PROXY protocol, versions 1 and 2, by the
 * text of haproxy.org/download/3.0/doc/proxy-protocol.txt, §2.1 and §2.2). Sans-I/O; read only where it is configured.
 */

/** Why a header was refused. */
export const PROXY_REFUSALS = {
  absent: 'The connection does not begin with a PROXY protocol header.',
  v1_too_long: 'The line of version 1 is longer than 107 bytes.',
  v1_line: 'The line of version 1 is not `PROXY TCP4|TCP6|UNKNOWN …` ending in CR LF.',
  v1_address: 'An address of version 1 is not one of its family.',
  v1_port: 'A port of version 1 is not a number from 0 to 65535.',
  v2_version: 'The version is neither 1 nor 2.',
  v2_command: 'The command of version 2 is neither LOCAL nor PROXY.',
  v2_family: 'The family and transport of version 2 are not those of a stream.',
  v2_too_short: 'The addresses of version 2 are shorter than their family.',
  v2_too_long: 'The addresses and extensions of version 2 are longer than 4096 bytes.',
} as const;
export type ProxyRefusal = keyof typeof PROXY_REFUSALS;

/** Answers of `push` besides an offset. */
export const ProxyHeaderResult = { Incomplete: -1, Refused: -2 } as const;

/** §2.1: the longest line that can be, CR LF included. */
const V1_MAX_BYTES = 107;
const V1_START = 'PROXY ';
/** §2.2. */
const V2_SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const V2_FIXED_BYTES = 16;
/** Addresses and extensions; AWS and HAProxy send a few hundred bytes, certificates' names included. */
const V2_MAX_REST_BYTES = 4096;

const LF = 0x0a;
const SPACES = / /g;

/** One per connection, used once. */
export class ProxyHeaderParser {
  /** Of the client, in canonical form; null: the header does not say (UNKNOWN, LOCAL, a Unix socket). */
  address: string | null = null;
  refusal: ProxyRefusal | null = null;
  readonly #own: Uint8Array = allocateBytes(V2_FIXED_BYTES + V2_MAX_REST_BYTES);
  #length = 0;
  /** Bytes of the whole header, once known. */
  #wanted = Infinity;

  /** Takes what has arrived. Answers the offset in `chunk` behind the header, or a `ProxyHeaderResult`. */
  push(chunk: Uint8Array): number {
    const before = this.#length;
    for (let at = 0; at < chunk.length; at += 1) {
      const result = this.#take(chunk[at]!);
      if (result !== null) return result;
      if (this.#length === this.#wanted) {
        if (!this.#read()) return ProxyHeaderResult.Refused;
        return this.#length - before;
      }
    }
    return ProxyHeaderResult.Incomplete;
  }

  /** What is wrong is said at the first byte that can't be right. */
  #take(byte: number): number | null {
    const at = this.#length;
    this.#own[at] = byte;
    this.#length = at + 1;
    const isV1 = this.#own[0] === V1_START.charCodeAt(0);
    if (isV1) return this.#takeV1(byte, at);
    if (at < V2_SIGNATURE.length) return byte === V2_SIGNATURE[at] ? null : this.#refuse('absent');
    if (at === 12 && byte >> 4 !== 2) return this.#refuse('v2_version');
    if (at === 12 && (byte & 0x0f) > 1) return this.#refuse('v2_command');
    if (at === 15) {
      const rest = (this.#own[14]! << 8) | byte;
      if (rest > V2_MAX_REST_BYTES) return this.#refuse('v2_too_long');
      this.#wanted = V2_FIXED_BYTES + rest;
    }
    return null;
  }

  #takeV1(byte: number, at: number): number | null {
    if (at < V1_START.length && byte !== V1_START.charCodeAt(at)) return this.#refuse('absent');
    if (byte === LF) this.#wanted = at + 1;
    else if (at + 1 >= V1_MAX_BYTES) return this.#refuse('v1_too_long');
    return null;
  }

  #refuse(refusal: ProxyRefusal): number {
    this.refusal = refusal;
    return ProxyHeaderResult.Refused;
  }

  #read(): boolean {
    this.refusal = this.#own[0] === V1_START.charCodeAt(0) ? this.#readV1() : this.#readV2();
    return this.refusal === null;
  }

  #readV1(): ProxyRefusal | null {
    const line = String.fromCharCode(...this.#own.subarray(0, this.#length));
    if (!line.endsWith('\r\n') || /[^\x20-\x7e]/.test(line.slice(0, -2))) return 'v1_line';
    const text = line.slice(V1_START.length, -2);
    // What follows UNKNOWN is to be ignored.
    if (text === 'UNKNOWN' || text.startsWith('UNKNOWN ')) return null;
    const [family = '', source = '', destination = '', ...ports] = text.split(' ');
    if ((family !== 'TCP4' && family !== 'TCP6') || text.match(SPACES)?.length !== 4) return 'v1_line';
    const from = parseIpAddress(source);
    const isRight = (address: string): boolean => address.includes(':') === (family === 'TCP6');
    if (from === null || parseIpAddress(destination) === null || !isRight(source) || !isRight(destination))
      return 'v1_address';
    if (!ports.every((port) => /^(?:0|[1-9]\d{0,4})$/.test(port) && Number(port) <= 65_535)) return 'v1_port';
    this.address = formatIpAddress(from);
    return null;
  }

  #readV2(): ProxyRefusal | null {
    const own = this.#own;
    const family = own[13]! >> 4;
    const transport = own[13]! & 0x0f;
    if (family > 3 || transport > 1) return 'v2_family';
    // LOCAL: the load balancer's own, a health check. Whatever addresses it holds are to be ignored.
    const isLocal = (own[12]! & 0x0f) === 0;
    if (isLocal || family === 0 || transport === 0) return null;
    const restBytes = this.#length - V2_FIXED_BYTES;
    if (restBytes < V2_ADDRESS_BYTES[family]!) return 'v2_too_short';
    if (family === 1) this.address = own.subarray(V2_FIXED_BYTES, V2_FIXED_BYTES + 4).join('.');
    if (family === 2) this.address = formatIpAddress(own.subarray(V2_FIXED_BYTES, V2_FIXED_BYTES + 16));
    return null;
  }
}

/** By family: none, IPv4, IPv6, Unix; both addresses and ports. */
const V2_ADDRESS_BYTES = [0, 12, 36, 216];
