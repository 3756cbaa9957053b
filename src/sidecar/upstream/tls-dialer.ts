import { isIP, type Socket } from 'node:net';
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  getCACertificates,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import type { OriginSpec } from '../../contract/snapshot.ts';

/**
 * TLS of one pool: one SecureContext, and the last session ticket of that provider. Sessions are never shared between
 * pools: a resumed handshake shows no certificate, so it stands for what was verified before under the same rules.
 */
export class TlsDialer {
  readonly #name: string;
  readonly #tls: OriginSpec['tls'];
  #context: SecureContext | null;
  #session: Buffer | null;

  constructor(name: string, tls: OriginSpec['tls']) {
    this.#name = name;
    this.#tls = tls;
    this.#context = null;
    this.#session = null;
  }

  /**
   * Starts a handshake on a connected socket.
   *
   * @throws {Error} when CA, certificate or key can't be used.
   */
  dial(socket: Socket): TLSSocket {
    this.#context ??= secureContext(this.#tls);
    const tlsSocket = connect({
      socket,
      secureContext: this.#context,
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: this.#tls.verify,
      checkServerIdentity,
      // The name to verify; also SNI, where addresses are not allowed (RFC 6066 §3).
      host: this.#name,
      ...(isIP(this.#name) === 0 ? { servername: this.#name } : {}),
      ...(this.#session === null ? {} : { session: this.#session }),
    });
    // In TLS 1.3 tickets come after the handshake, and more than one: the last is the freshest.
    tlsSocket.on('session', (session) => {
      this.#session = session;
    });
    return tlsSocket;
  }

  /** A handshake failed: the ticket may be the reason. */
  forgetSession(): void {
    this.#session = null;
  }
}

/** Context for "system's CAs, no client certificate": nearly every pool has it. */
let defaultContext: SecureContext | null = null;

function secureContext({ caPem, certPem, keyPem }: OriginSpec['tls']): SecureContext {
  const isDefault = caPem === null && certPem === null && keyPem === null;
  if (isDefault && defaultContext !== null) return defaultContext;
  const ca = caPem ?? systemAuthorities();
  const context = createSecureContext({
    ...(ca === null ? {} : { ca }),
    ...(certPem === null ? {} : { cert: certPem }),
    ...(keyPem === null ? {} : { key: keyPem }),
  });
  if (isDefault) defaultContext = context;
  return context;
}

/**
 * Node trusts its bundled authorities and NODE_EXTRA_CA_CERTS; a company's own are in the system's store. With
 * NODE_USE_SYSTEM_CA=1 Node loads that store too, on a thread of its own. Without it we read it here, which takes 25 to
 * 50 ms once per worker, and parsing the union 8 ms per context. null = Node's default has all.
 */
function systemAuthorities(): string[] | null {
  if (process.env['NODE_USE_SYSTEM_CA'] === '1' || process.execArgv.includes('--use-system-ca')) return null;
  const known = new Set(getCACertificates('default'));
  const knownCount = known.size;
  for (const certificate of getCACertificates('system')) known.add(certificate);
  return known.size === knownCount ? null : [...known];
}
