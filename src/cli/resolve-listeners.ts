import { resolve } from 'node:path';
import {
  completeTls,
  type ConfiguredListener,
  type ListenerSpec,
  type ListenerTls,
  mergeTlsWishes,
  NO_TLS_WISHES,
  type TlsWishes,
} from '../contract/listener.ts';
import type { ConfiguredProcesses } from './child-messages.ts';
import { inheritedSockets, type InheritedSocket } from './inherited-sockets.ts';
import { StartError } from './start-error.ts';
import { DEFAULT_HOST, DEFAULT_PORT, DEMO_HOST, type StartSettings } from './start-settings.ts';

export interface ResolvedListeners {
  readonly specs: readonly ListenerSpec[];
  /** Sockets that systemd passed. */
  readonly inherited: readonly InheritedSocket[];
}

/**
 * Where to listen: what systemd passed, `--listen`, `--host` and `--port`, `slipstream.listen`, `slipstream.host` and
 * `.port`, the default; the first that says anything. Sockets of systemd take the place of all addresses unless one of
 * those names them.
 *
 * @throws {StartError} when TLS is wanted and can't be had.
 */
export async function resolveListeners(
  settings: StartSettings,
  configured: ConfiguredProcesses | null,
  isDemo: boolean,
): Promise<ResolvedListeners> {
  const inherited = inheritedSockets(settings.env, process.pid);
  let wanted = wantedListeners(settings, configured, isDemo);
  if (inherited.length > 0 && !wanted.some(({ target }) => target.type === 'systemd')) {
    wanted = [{ ...wanted[0]!, target: { type: 'systemd', name: null } }];
  }
  const common = commonTls(settings, configured);
  const proxyProtocol = settings.proxyProtocol ?? configured?.proxyProtocol ?? false;
  const specs = wanted.map((listener) => ({
    target: listener.target,
    tls: listener.tls === null ? null : listenerTls(mergeTlsWishes(listener.tls, common)),
    proxyProtocol: listener.proxyProtocol ?? proxyProtocol,
  }));
  for (const { tls } of specs) if (tls !== null) await tryTlsFiles(tls);
  return { specs, inherited };
}

function wantedListeners(
  settings: StartSettings,
  configured: ConfiguredProcesses | null,
  isDemo: boolean,
): readonly ConfiguredListener[] {
  if (settings.listen !== null) {
    return settings.listen.map(({ target, scheme }) => ({
      target,
      tls: scheme === 'https' ? NO_TLS_WISHES : null,
      proxyProtocol: null,
    }));
  }
  if (settings.host === null && settings.port === null && configured?.listeners) return configured.listeners;
  const host = settings.host ?? configured?.host ?? (isDemo ? DEMO_HOST : DEFAULT_HOST);
  const port = settings.port ?? configured?.port ?? DEFAULT_PORT;
  const { certFile, keyFile } = commonTls(settings, configured);
  const isTls = certFile !== null || keyFile !== null;
  return [{ target: { type: 'tcp', host, port }, tls: isTls ? NO_TLS_WISHES : null, proxyProtocol: null }];
}

function commonTls(settings: StartSettings, configured: ConfiguredProcesses | null): TlsWishes {
  return mergeTlsWishes(settings.tls, configured?.tls ?? NO_TLS_WISHES);
}

function listenerTls(wishes: TlsWishes): ListenerTls {
  const tls = completeTls(wishes);
  if (typeof tls === 'string') throw new StartError(tls);
  const { certFile, keyFile, caFile } = tls;
  return { ...tls, certFile: resolve(certFile), keyFile: resolve(keyFile), caFile: caFile && resolve(caFile) };
}

/** At the first start files that can't be used are a reason not to start; later they are a line in the log. */
async function tryTlsFiles(tls: ListenerTls): Promise<void> {
  const { readTlsFiles, TlsFileError } = await import('../sidecar/tls/tls-files.ts');
  try {
    readTlsFiles(tls);
  } catch (error) {
    throw error instanceof TlsFileError ? new StartError(`TLS: ${error.message}`) : error;
  }
}
