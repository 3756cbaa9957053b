import type { ListenerSpec } from '../contract/listener.ts';
import type { ConfiguredProcesses } from './child-messages.ts';
import { inheritedSockets, type InheritedSocket } from './inherited-sockets.ts';
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
 */
export function resolveListeners(
  settings: StartSettings,
  configured: ConfiguredProcesses | null,
  isDemo: boolean,
): ResolvedListeners {
  const inherited = inheritedSockets(settings.env, process.pid);
  const specs = wantedListeners(settings, configured, isDemo);
  if (inherited.length === 0 || specs.some(({ target }) => target.type === 'systemd')) return { specs, inherited };
  const { tls, proxyProtocol } = specs[0]!;
  return { specs: [{ target: { type: 'systemd', name: null }, tls, proxyProtocol }], inherited };
}

function wantedListeners(
  settings: StartSettings,
  configured: ConfiguredProcesses | null,
  isDemo: boolean,
): readonly ListenerSpec[] {
  if (settings.listen !== null) {
    return settings.listen.map(({ target }) => ({ target, tls: null, proxyProtocol: false }));
  }
  if (settings.host === null && settings.port === null && configured?.listeners) return configured.listeners;
  const host = settings.host ?? configured?.host ?? (isDemo ? DEMO_HOST : DEFAULT_HOST);
  const port = settings.port ?? configured?.port ?? DEFAULT_PORT;
  return [{ target: { type: 'tcp', host, port }, tls: null, proxyProtocol: false }];
}
