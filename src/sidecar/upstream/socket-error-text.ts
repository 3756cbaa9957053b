/**
 * Words for what went wrong on a socket. Clients see them, so they are made from the error's code alone: an error's
 * own `message` may quote addresses of our network or text that the peer chose.
 */
const REASONS: Readonly<Record<string, string>> = {
  // Names
  ENOTFOUND: 'the name does not exist',
  EAI_NONAME: 'the name does not exist',
  EAI_AGAIN: 'the name could not be looked up just now',
  EAI_NODATA: 'the name has no address',
  EAI_FAIL: 'the name server failed',
  ENODATA: 'the name has no address',
  // TCP and Unix sockets
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ECONNABORTED: 'connection aborted',
  EPIPE: 'connection closed by the peer',
  ETIMEDOUT: 'the peer stopped answering',
  EHOSTUNREACH: 'no route to the host',
  EHOSTDOWN: 'the host is down',
  ENETUNREACH: 'the network is unreachable',
  EADDRNOTAVAIL: 'no local address or port is free',
  EMFILE: 'out of file descriptors',
  ENFILE: 'out of file descriptors',
  ENOENT: 'no such socket',
  EINVAL: 'not a valid address',
  EACCES: 'permission denied',
  EPERM: 'not permitted by the local system',
  // Certificates (X509_verify_cert_error)
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  CERT_REVOKED: 'its certificate is revoked',
  CERT_UNTRUSTED: 'its certificate is not trusted',
  INVALID_PURPOSE: 'its certificate is not made for servers',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed and not trusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate comes from an authority that is not trusted',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate comes from an authority that is not trusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate comes from an authority that is not trusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate comes from an authority that is not trusted',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is made for other names',
  // TLS itself
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not answer in TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not answer in TLS',
  ERR_SSL_HTTP_REQUEST: 'it does not answer in TLS',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'no TLS version in common',
  ERR_SSL_NO_PROTOCOLS_AVAILABLE: 'no TLS version in common',
  // Alerts that the peer sent (RFC 8446 §6.2)
  ALERT_PROTOCOL_VERSION: 'no TLS version in common',
  ALERT_HANDSHAKE_FAILURE: 'it refused the handshake',
  ALERT_NO_APPLICATION_PROTOCOL: 'it does not offer HTTP/1.1',
  ALERT_UNRECOGNIZED_NAME: 'it does not know the server name',
  ALERT_CERTIFICATE_REQUIRED: 'it asks for a client certificate',
  ALERT_BAD_CERTIFICATE: 'it refused the client certificate',
  ALERT_CERTIFICATE_EXPIRED: 'it refused the client certificate as expired',
  ALERT_CERTIFICATE_REVOKED: 'it refused the client certificate as revoked',
  ALERT_CERTIFICATE_UNKNOWN: 'it refused the client certificate',
  ALERT_UNKNOWN_CA: 'it does not trust the client certificate',
  ALERT_ACCESS_DENIED: 'it refused the client certificate',
};

/** `error.code`, or null: `ECONNREFUSED`, `CERT_HAS_EXPIRED`, … */
export function errorCode(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}

/** Why, in a few words without a full stop: "connection refused". Of an unknown error only the code is told. */
export function socketErrorText(error: unknown): string {
  const code = errorCode(error);
  if (code === null) return 'unknown socket error';
  const known = REASONS[code];
  if (known !== undefined) return known;
  if (!code.startsWith('ERR_SSL_')) return code;
  // OpenSSL's names of alerts begin with the version they came with: TLSV1_ALERT_, SSL/TLS_ALERT_, TLSV13_ALERT_.
  const alert = code.slice(Math.max(0, code.indexOf('ALERT_')));
  return REASONS[alert] ?? `TLS error ${code.slice('ERR_SSL_'.length).toLowerCase().replaceAll('_', ' ')}`;
}
