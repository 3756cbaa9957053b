import { lookup as dnsLookup } from 'node:dns';
import { isIP } from 'node:net';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** Answers later, once. An answer without addresses counts as a failure. */
export type LookupFunction = (
  hostname: string,
  callback: (error: Error | null, addresses: readonly ResolvedAddress[]) => void,
) => void;

export interface DnsListener {
  onResolved(addresses: readonly string[]): void;
  onResolveFailed(error: Error): void;
}

const REFRESH_INTERVAL_MS = 30_000;
/** After a failed connection the name is looked up again before its time, but no more often than this. */
const URGENT_REFRESH_INTERVAL_MS = 1_000;
/** A host that nobody dialled or had a connection to for so long is forgotten. */
const UNUSED_MS = 600_000;

/** RFC 6761 §6.3: always loopback. IPv4 first, where most local model servers listen. */
const LOOPBACK: readonly string[] = Object.freeze(['127.0.0.1', '::1']);

class HostEntry {
  readonly host: string;
  addresses: readonly ResolvedAddress[];
  readonly listeners: Set<DnsListener>;
  /** Addresses that did not answer since the last refresh; they are tried last. */
  readonly failing: Set<string>;
  isLookingUp: boolean;
  wasUsed: boolean;
  wantsRefresh: boolean;
  /** 0 = not stamped by a tick yet. */
  lookedUpMs: number;
  usedMs: number;
  /** Connections made so far: each starts at the next address. */
  turn: number;

  constructor(host: string) {
    this.host = host;
    this.addresses = [];
    this.listeners = new Set();
    this.failing = new Set();
    this.isLookingUp = false;
    this.wasUsed = true;
    this.wantsRefresh = false;
    this.lookedUpMs = 0;
    this.usedMs = 0;
    this.turn = 0;
  }
}

/**
 * Addresses of hosts, per worker. Only the first connection to a host waits for the thread pool; from then on `tick`
 * looks the name up again every 30 s in the background, and the last good answer serves while that fails.
 */
export class DnsCache {
  readonly #lookup: LookupFunction;
  readonly #entries: Map<string, HostEntry>;

  constructor(lookup: LookupFunction = lookUpAll) {
    this.#lookup = lookup;
    this.#entries = new Map();
  }

  /** Addresses in the order to try, or null and `listener` is called later. */
  resolve(host: string, listener: DnsListener): readonly string[] | null {
    if (isIP(host) !== 0) return [host];
    const name = host.toLowerCase();
    if (name === 'localhost' || name.endsWith('.localhost')) return LOOPBACK;
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      entry = new HostEntry(name);
      this.#entries.set(name, entry);
    }
    entry.wasUsed = true;
    if (entry.addresses.length > 0) return addressOrder(entry);
    entry.listeners.add(listener);
    this.#lookUp(entry);
    return null;
  }

  /** `listener` is not called any more. */
  cancel(host: string, listener: DnsListener): void {
    this.#entries.get(host.toLowerCase())?.listeners.delete(listener);
  }

  /** There are connections to `host`: the next dial should not have to wait for a look-up. */
  touch(host: string): void {
    const entry = this.#entries.get(host.toLowerCase());
    if (entry !== undefined) entry.wasUsed = true;
  }

  /** A connection was or was not made to `address`: the next ones go by it until the name is looked up again. */
  report(host: string, address: string, isGood: boolean): void {
    const entry = this.#entries.get(host.toLowerCase());
    if (entry === undefined) return;
    if (isGood) {
      entry.failing.delete(address);
    } else {
      entry.failing.add(address);
      entry.wantsRefresh = true;
    }
  }

  tick(nowMs: number): void {
    for (const entry of this.#entries.values()) {
      if (entry.wasUsed) {
        entry.wasUsed = false;
        entry.usedMs = nowMs;
      }
      if (entry.isLookingUp) continue;
      if (nowMs - entry.usedMs >= UNUSED_MS) {
        this.#entries.delete(entry.host);
        continue;
      }
      if (entry.lookedUpMs === 0) entry.lookedUpMs = nowMs;
      const intervalMs = entry.wantsRefresh ? URGENT_REFRESH_INTERVAL_MS : REFRESH_INTERVAL_MS;
      if (entry.addresses.length > 0 && nowMs - entry.lookedUpMs >= intervalMs) this.#lookUp(entry);
    }
  }

  /** One look-up per host at a time, however many wait for it. */
  #lookUp(entry: HostEntry): void {
    if (entry.isLookingUp) return;
    entry.isLookingUp = true;
    this.#lookup(entry.host, (error, addresses) => this.#onAnswer(entry, error, addresses));
  }

  #onAnswer(entry: HostEntry, error: Error | null, addresses: readonly ResolvedAddress[]): void {
    entry.isLookingUp = false;
    entry.wantsRefresh = false;
    entry.lookedUpMs = 0;
    const listeners = [...entry.listeners];
    entry.listeners.clear();
    if (error === null && addresses.length > 0) {
      entry.addresses = addresses;
      entry.failing.clear();
      for (const listener of listeners) listener.onResolved(addressOrder(entry));
    } else if (entry.addresses.length === 0) {
      const reason = error ?? Object.assign(new Error('no address'), { code: 'ENODATA' });
      for (const listener of listeners) listener.onResolveFailed(reason);
    }
  }
}

function lookUpAll(hostname: string, callback: Parameters<LookupFunction>[1]): void {
  // 'verbatim': getaddrinfo has sorted them by what can be reached from here (RFC 6724).
  dnsLookup(hostname, { all: true, order: 'verbatim' }, (error, addresses) => callback(error, error ? [] : addresses));
}

/**
 * Families alternate, beginning with the resolver's first (RFC 8305 §4); within a family each connection starts one
 * further, so that a name with many addresses is used evenly; addresses that failed of late come last.
 */
function addressOrder(entry: HostEntry): readonly string[] {
  const { addresses, failing } = entry;
  const first = addresses[0];
  if (first === undefined) return [];
  const preferred = addresses.filter(({ family }) => family === first.family);
  const others = addresses.filter(({ family }) => family !== first.family);
  const turn = entry.turn++;
  const ordered: string[] = [];
  for (let i = 0; i < Math.max(preferred.length, others.length); i++) {
    const a = i < preferred.length ? preferred[(i + turn) % preferred.length] : undefined;
    const b = i < others.length ? others[(i + turn) % others.length] : undefined;
    if (a !== undefined) ordered.push(a.address);
    if (b !== undefined) ordered.push(b.address);
  }
  if (failing.size === 0) return ordered;
  return [...ordered.filter((address) => !failing.has(address)), ...ordered.filter((address) => failing.has(address))];
}
