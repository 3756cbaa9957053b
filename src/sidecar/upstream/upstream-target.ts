import { hash } from 'node:crypto';
import { isIP } from 'node:net';
import type { OriginSpec } from '../../contract/snapshot.ts';

/** A name or address and a port to dial. `host` is without brackets. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number;
  /** `host:port` for messages, IPv6 in brackets. */
  readonly label: string;
}

/** An `OriginSpec` made ready for dialling, once per pool. */
export interface UpstreamTarget {
  /** The provider, as messages name it: `api.example.com:443`, or `unix:` and a path. */
  readonly label: string;
  /** What TCP connects to: the egress proxy if there is one, else the provider; null for a Unix socket. */
  readonly dial: HostAndPort | null;
  readonly socketPath: string | null;
  /** The head that asks the egress proxy for a tunnel, credential included (never logged); null = direct. */
  readonly tunnelHead: string | null;
  /** Name that the certificate must have, and SNI unless it is an address; null = no TLS. */
  readonly tlsName: string | null;
  /** Set when the configuration can't work at all: every attempt fails with it. Holds no credential. */
  readonly problem: string | null;
}

export function upstreamTarget(origin: OriginSpec): UpstreamTarget {
  const provider = hostAndPort(origin.host, origin.port);
  const tlsName = origin.scheme === 'https' ? withoutTrailingDot(bare(origin.tls.serverName ?? origin.host)) : null;
  if (origin.socketPath !== null) {
    const label = `unix:${origin.socketPath}`;
    // node:net takes an empty path for none, and would dial a port of this machine.
    const problem = origin.socketPath === '' ? 'the path of the Unix socket is empty' : null;
    return { label, dial: null, socketPath: origin.socketPath, tunnelHead: null, tlsName, problem };
  }
  let dial = provider;
  let tunnelHead = null;
  let problem = hostProblem(provider);
  if (origin.proxyUrl !== null) {
    const proxy = parseProxy(origin.proxyUrl);
    if (typeof proxy === 'string') {
      problem ??= proxy;
    } else {
      dial = proxy.address;
      problem ??= hostProblem(dial);
      tunnelHead =
        `CONNECT ${provider.label} HTTP/1.1\r\nHost: ${provider.label}\r\n` +
        (proxy.credential === null ? '' : `Proxy-Authorization: Basic ${proxy.credential}\r\n`) +
        '\r\n';
    }
  }
  return { label: provider.label, dial, socketPath: null, tunnelHead, tlsName, problem };
}

/**
 * Equal for origins whose connections may be exchanged: everything in the spec counts, keys and credentials only by
 * their hash.
 */
export function originKey(origin: OriginSpec): string {
  const { scheme, host, port, socketPath, proxyUrl, maxConnections } = origin;
  const { verify, caPem, certPem, keyPem, serverName } = origin.tls;
  // Fast case, for thousands of deployments at once: nothing but an address. The other keys begin with a bracket.
  if (
    socketPath === null &&
    proxyUrl === null &&
    serverName === null &&
    caPem === null &&
    certPem === null &&
    keyPem === null
  )
    return `${scheme}://${host}:${port} ${verify} ${maxConnections}`;
  const secrets = [caPem, certPem, keyPem, proxyUrl].map((text) => text && hash('sha256', text));
  const plain = [scheme, host, port, socketPath, verify, serverName, maxConnections];
  return JSON.stringify([plain, secrets]);
}

function hostAndPort(hostText: string, port: number): HostAndPort {
  const host = bare(hostText);
  return { host, port, label: isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}` };
}

/** Without the brackets that a URL puts around an IPv6 address. */
function bare(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

function withoutTrailingDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

/** A host goes into the CONNECT head and into messages: nothing but what names and addresses are made of. */
function hostProblem(address: HostAndPort): string | null {
  if (!/^[\w.:%-]+$/.test(address.host)) return 'the host of the upstream address is not a name or address';
  const { port } = address;
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    return `port ${port} of the upstream address is out of range`;
  return null;
}

function parseProxy(proxyUrl: string): { address: HostAndPort; credential: string | null } | string {
  const text = proxyUrl.includes('://') ? proxyUrl : `http://${proxyUrl}`;
  const url = URL.parse(text);
  if (url === null) return 'the egress proxy address is not a URL';
  if (url.protocol !== 'http:') return 'only http:// egress proxies are supported';
  const address = hostAndPort(url.hostname, url.port === '' ? 80 : Number(url.port));
  if (url.username === '' && url.password === '') return { address, credential: null };
  try {
    const user = decodeURIComponent(url.username);
    const password = decodeURIComponent(url.password);
    return { address, credential: Buffer.from(`${user}:${password}`).toString('base64') };
  } catch {
    return 'user or password of the egress proxy is not percent-encoded correctly';
  }
}
