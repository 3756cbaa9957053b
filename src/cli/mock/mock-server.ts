import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { serveConnection, type MockHost } from './mock-connection.ts';
import { DEFAULT_MOCK_OPTIONS, type MockOptions } from './mock-options.ts';
import { MockRouter } from './mock-router.ts';
import { RequestLog } from './request-log.ts';

/** A running mock provider. */
export interface RunningMock {
  /** `http://host:port`, without `/v1`. */
  readonly url: string;
  readonly port: number;
  /** Requests answered or being answered, health checks included. */
  requestCount(): number;
  /** Closes the listener and every connection at once. */
  close(): Promise<void>;
}

/**
 * Starts a mock provider in this process: OpenAI's and Anthropic's endpoints on one port.
 *
 * @throws the listener's error when the address cannot be bound, or the log file's when it cannot be opened.
 */
export async function startMock(options: Partial<MockOptions> = {}): Promise<RunningMock> {
  const settings: MockOptions = { ...DEFAULT_MOCK_OPTIONS, ...options };
  const log = settings.log === '' ? null : new RequestLog(settings.log);
  const router = new MockRouter(settings, `m${process.pid.toString(36)}-`);
  const host: MockHost = { router, onRequest: settings.onRequest, onEnd: endObserver(settings, log) };

  const sockets = new Set<Socket>();
  const serve = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    serveConnection(socket, host);
  };
  const server: Server =
    settings.tls === null
      ? createServer({ noDelay: true }, serve)
      : createTlsServer({ ...settings.tls, noDelay: true, ALPNProtocols: ['http/1.1'] }, serve);
  await listen(server, settings);

  const { port } = server.address() as AddressInfo;
  const shownHost = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
  return {
    url: `${settings.tls === null ? 'http' : 'https'}://${shownHost}:${port}`,
    port,
    requestCount: () => router.requestCount,
    close: async () => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      for (const socket of sockets) socket.destroy();
      await closed;
      log?.close();
    },
  };
}

function endObserver(settings: MockOptions, log: RequestLog | null): MockHost['onEnd'] {
  const { onEnd } = settings;
  if (log === null && onEnd === null) return null;
  return (request, outcome, status, nonce) => {
    onEnd?.(request, outcome);
    const { method, target } = request;
    log?.add({ t: Date.now(), nonce, method, target, status, outcome });
  };
}

async function listen(server: Server, { host, port }: MockOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: 4096 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
