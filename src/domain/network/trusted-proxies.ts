import { formatIpAddress, type IpBytes, parseIpAddress } from '../../base/ip-address.ts';

interface Block {
  readonly bytes: IpBytes;
  /** Of 128; IPv4 blocks count from their place in `::ffff:0:0/96`. */
  readonly bits: number;
}

/** Peers that come over a Unix socket have no address; this word in the list trusts them. */
const UNIX_PEERS = 'unix';

/** Addresses whose word about the client's address is believed. */
export class TrustedProxies {
  readonly #blocks: readonly Block[];
  readonly #trustsUnix: boolean;

  /** @param entries addresses, CIDR blocks, `unix`; what is none of these is left out (see `isTrustedProxyEntry`). */
  constructor(entries: readonly string[]) {
    this.#blocks = entries.map(parseBlock).filter((block) => block !== null);
    this.#trustsUnix = entries.includes(UNIX_PEERS);
  }

  /**
   * The client's address. `forwarded` is the list that each proxy appends its peer's address to (X-Forwarded-For), so it
   * is read from its end, one step for each proxy that is trusted: the first address that is not is the client's. What a
   * client writes into the list itself stands left of that, and is never reached.
   *
   * @param peer of the connection, null for a Unix socket.
   * @returns canonical text; null for a Unix socket about which nobody says anything.
   */
  clientOf(peer: string | null, forwarded: string): string | null {
    let end = forwarded.length;
    let client = peer === null ? null : parseIpAddress(peer);
    let isTrusted = client === null ? peer === null && this.#trustsUnix : this.#trusts(client);
    while (isTrusted && end > 0) {
      const start = forwarded.lastIndexOf(',', end - 1) + 1;
      const next = parseIpAddress(withoutPort(forwarded.slice(start, end).trim()));
      // `unknown`, a name, rubbish: what the last proxy says is all there is.
      if (next === null) break;
      client = next;
      isTrusted = this.#trusts(next);
      end = start - 1;
    }
    return client === null ? null : formatIpAddress(client);
  }

  #trusts(address: IpBytes): boolean {
    for (const { bytes, bits } of this.#blocks) if (hasPrefix(address, bytes, bits)) return true;
    return false;
  }
}

export function isTrustedProxyEntry(entry: string): boolean {
  return entry === UNIX_PEERS || parseBlock(entry) !== null;
}

function parseBlock(entry: string): Block | null {
  const slash = entry.indexOf('/');
  const bytes = parseIpAddress(slash === -1 ? entry : entry.slice(0, slash));
  if (bytes === null) return null;
  const width = entry.includes(':') ? 128 : 32;
  const length = slash === -1 ? String(width) : entry.slice(slash + 1);
  if (!/^\d{1,3}$/.test(length) || Number(length) > width) return null;
  return { bytes, bits: Number(length) + 128 - width };
}

function hasPrefix(address: IpBytes, prefix: IpBytes, bits: number): boolean {
  const whole = bits >> 3;
  for (let index = 0; index < whole; index += 1) if (address[index] !== prefix[index]) return false;
  const rest = bits & 7;
  return rest === 0 || (address[whole]! ^ prefix[whole]!) >> (8 - rest) === 0;
}

/** Some proxies append the port: `192.0.2.1:1234`, `[2001:db8::1]:1234`. */
function withoutPort(text: string): string {
  if (text.startsWith('[')) {
    const end = text.indexOf(']');
    return end === -1 ? text : text.slice(1, end);
  }
  const colon = text.indexOf(':');
  return colon !== -1 && colon === text.lastIndexOf(':') ? text.slice(0, colon) : text;
}
