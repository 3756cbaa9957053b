import type { Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import type { ListenerTls } from '../../contract/listener.ts';
import type { Certificate } from './certificates.ts';

/** `ssl` of a TLSSocket: OpenSSL's side of it, not in the types. */
interface WithSsl {
  readonly ssl: { verifyError(): Error | null } | null;
}

/** One name with its length before it (RFC 7301 §3.1). */
const ALPN_PROTOCOLS = Buffer.from('\x08http/1.1', 'latin1');

/** Server side of TLS for one listener in one thread. A new certificate counts for new connections only. */
export class TlsTerminator {
  readonly #tls: ListenerTls;
  #context: SecureContext | null;

  constructor(tls: ListenerTls) {
    this.#tls = tls;
    this.#context = null;
  }

  setCertificate({ certPem, keyPem, caPem, ticketKeys }: Certificate): void {
    this.#context = createSecureContext({
      cert: certPem,
      key: keyPem,
      ...(caPem === null ? {} : { ca: caPem }),
      minVersion: this.#tls.minVersion,
      // A message to another thread turns a Buffer into a plain Uint8Array.
      ticketKeys: Buffer.from(ticketKeys),
      // Without it OpenSSL refuses to resume sessions in which a client showed a certificate.
      sessionIdContext: 'slipstream',
    });
  }

  /** Starts a handshake on an accepted socket; 'secure' follows, or 'close'. Null: there is no certificate. */
  wrap(socket: Socket): TLSSocket | null {
    if (this.#context === null) return null;
    const asksForCertificate = this.#tls.clientAuth !== 'none';
    return new TLSSocket(socket, {
      isServer: true,
      secureContext: this.#context,
      requestCert: asksForCertificate,
      // Decided in `admits`: by itself a TLSSocket only notes what is wrong.
      rejectUnauthorized: false,
      ALPNProtocols: ALPN_PROTOCOLS,
    });
  }

  /** After the handshake: has the client shown what it must? */
  admits(socket: TLSSocket): boolean {
    const { clientAuth } = this.#tls;
    if (clientAuth === 'none') return true;
    const fault = (socket as unknown as WithSsl).ssl?.verifyError() ?? null;
    if (fault === null) return true;
    const hasShownOne = Object.keys(socket.getPeerCertificate()).length > 0;
    return clientAuth === 'optional' && !hasShownOne;
  }
}
