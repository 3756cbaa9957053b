import type { OriginSpec } from '../../contract/snapshot.ts';

/** The control plane's admin socket, as an origin like any other. */
export function adminOrigin(socketPath: string): OriginSpec {
  return {
    scheme: 'http',
    host: 'localhost',
    port: 0,
    socketPath,
    tls: { verify: true, caPem: null, certPem: null, keyPem: null, serverName: null },
    proxyUrl: null,
    maxConnections: 256,
  };
}
