/** What a listener's TLS is made of: paths, never key material. The sidecar reads the files itself. */
export interface ListenerTls {
  /** PEM: the server's certificate, followed by the intermediate ones. */
  readonly certFile: string;
  /** PEM: its private key, without a passphrase. */
  readonly keyFile: string;
  /** PEM: authorities of client certificates; null = none are asked for. */
  readonly caFile: string | null;
  /** `optional`: a client may come without a certificate, but not with a bad one. */
  readonly clientAuth: ClientAuth;
  readonly minVersion: TlsVersion;
}

export const CLIENT_AUTH = ['none', 'optional', 'required'] as const;
export type ClientAuth = (typeof CLIENT_AUTH)[number];

export const TLS_VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
export type TlsVersion = (typeof TLS_VERSIONS)[number];

/** TLS as far as some part of the settings says something about it; null = nothing. */
export interface TlsWishes {
  readonly certFile: string | null;
  readonly keyFile: string | null;
  readonly caFile: string | null;
  readonly clientAuth: ClientAuth | null;
  readonly minVersion: TlsVersion | null;
}

export const NO_TLS_WISHES: TlsWishes = Object.freeze({
  certFile: null,
  keyFile: null,
  caFile: null,
  clientAuth: null,
  minVersion: null,
});

/** Where `first` says nothing, `second` counts. */
export function mergeTlsWishes(first: TlsWishes, second: TlsWishes): TlsWishes {
  return {
    certFile: first.certFile ?? second.certFile,
    keyFile: first.keyFile ?? second.keyFile,
    caFile: first.caFile ?? second.caFile,
    clientAuth: first.clientAuth ?? second.clientAuth,
    minVersion: first.minVersion ?? second.minVersion,
  };
}

/** With the defaults: TLS 1.2; client certificates are required where their authorities are named. @returns what lacks, in words. */
export function completeTls({ certFile, keyFile, caFile, clientAuth, minVersion }: TlsWishes): ListenerTls | string {
  if (certFile === null) return 'TLS needs tls.cert_file';
  if (keyFile === null) return 'TLS needs tls.key_file';
  const auth = clientAuth ?? (caFile === null ? 'none' : 'required');
  if (auth !== 'none' && caFile === null) return `tls.client_auth: ${auth} needs tls.ca_file`;
  return { certFile, keyFile, caFile, clientAuth: auth, minVersion: minVersion ?? 'TLSv1.2' };
}

/** Where clients connect. */
export type ListenTarget =
  /** `host`: an address or a name; port 0 = any free one. */
  | { readonly type: 'tcp'; readonly host: string; readonly port: number }
  /** `mode`: permissions of the socket's file. */
  | { readonly type: 'unix'; readonly path: string; readonly mode: number }
  /** Sockets that systemd opened; `name` as in FileDescriptorName=, null = all of them. */
  | { readonly type: 'systemd'; readonly name: string | null };

/** One way in. Addresses and paths of files are settled at start; what is in the files may change at any time. */
export interface ListenerSpec {
  readonly target: ListenTarget;
  /** Null: plain HTTP. */
  readonly tls: ListenerTls | null;
  /** Every connection must begin with a PROXY protocol header, version 1 or 2. */
  readonly proxyProtocol: boolean;
}

/** The same as far as a configuration says it; `tls` null: plain, `proxyProtocol` null: as the default is. */
export interface ConfiguredListener {
  readonly target: ListenTarget;
  readonly tls: TlsWishes | null;
  readonly proxyProtocol: boolean | null;
}

/** A listener as the sidecar gets it: bound by the supervisor, or by the one process that does everything. */
export interface BoundListenerSpec extends Omit<ListenerSpec, 'target'> {
  /** For people: `0.0.0.0:4000`, `unix:/run/slipstream.sock`. */
  readonly name: string;
  readonly isUnix: boolean;
  /** systemd opened it and listens on when we have closed our copy. */
  readonly isKept: boolean;
}

const DEFAULT_SOCKET_MODE = 0o660;

/** sun_path of Linux holds 108 bytes with the final NUL, macOS' 104. */
const MAX_SOCKET_PATH_BYTES = 103;

/** An address as people write it. */
export interface ListenAddress {
  readonly target: ListenTarget;
  /** Null: it does not say. */
  readonly scheme: 'http' | 'https' | null;
}

/**
 * Reads `[http://|https://]host:port`, `:port`, a port alone, `unix:/path` or `systemd[:name]`. Without a port
 * `defaultPort` is meant; without a host every address of the machine.
 *
 * @returns the reason in words when it can't be read.
 */
export function parseListenAddress(written: string, defaultPort: number): ListenAddress | string {
  const text = written.trim();
  const scheme = (/^(https?):\/\//i.exec(text)?.[1]?.toLowerCase() as 'http' | 'https' | undefined) ?? null;
  const rest = scheme === null ? text : text.slice(scheme.length + 3).replace(/\/$/, '');
  if (scheme === null && /^[a-z]+:\/\//i.test(text) && !text.startsWith('unix:'))
    return 'only http:// and https:// are served';
  if (rest.startsWith('unix:')) {
    const path = rest.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
    const target = unixTarget(path, DEFAULT_SOCKET_MODE);
    return typeof target === 'string' ? target : { target, scheme };
  }
  if (rest === 'systemd' || rest.startsWith('systemd:')) {
    const name = rest.slice('systemd:'.length);
    return { target: { type: 'systemd', name: name === '' ? null : name }, scheme };
  }
  const target = tcpTarget(rest, defaultPort);
  return typeof target === 'string' ? target : { target, scheme };
}

function unixTarget(path: string, mode: number): ListenTarget | string {
  if (!path.startsWith('/')) return 'a Unix socket is written unix:/path, with an absolute path';
  if (utf8Bytes(path) > MAX_SOCKET_PATH_BYTES)
    return `the path of a Unix socket may have ${MAX_SOCKET_PATH_BYTES} bytes at most`;
  return { type: 'unix', path, mode };
}

function tcpTarget(text: string, defaultPort: number): ListenTarget | string {
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text);
  if (bracketed !== null) return withPort(bracketed[1] ?? '', bracketed[2], defaultPort);
  if (/^\d+$/.test(text)) return withPort(ALL_ADDRESSES, text, defaultPort);
  if (text.split(':').length > 2) return 'an IPv6 address with a port is written [::]:4000';
  const [host = '', port] = text.split(':');
  if (!/^[\w.-]*$/.test(host)) return 'must be host:port, [address]:port, unix:/path or systemd';
  if (host === '' && port === undefined) return 'must not be empty';
  return withPort(host === '' ? ALL_ADDRESSES : host, port, defaultPort);
}

const ALL_ADDRESSES = '0.0.0.0';

function withPort(host: string, port: string | undefined, defaultPort: number): ListenTarget | string {
  const number = port === undefined ? defaultPort : /^\d{1,5}$/.test(port) ? Number(port) : Number.NaN;
  if (!(number >= 0 && number <= 65_535)) return 'the port must be from 0 to 65535';
  return { type: 'tcp', host, port: number };
}

function utf8Bytes(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x8_00 ? 2 : code < 0x1_00_00 ? 3 : 4;
  }
  return bytes;
}
