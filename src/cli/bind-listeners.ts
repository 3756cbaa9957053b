import type { BoundListenerSpec, ListenerSpec } from '../contract/listener.ts';
import type { SidecarListener } from '../sidecar/listeners.ts';
import { closeInherited, type InheritedSocket } from './inherited-sockets.ts';
import { bindPublicAddress, portTaken, urlOf } from './listen-address.ts';
import { StartError } from './start-error.ts';
import { bindUnixSocket } from './unix-listener.ts';

/** A listener whose address is ours: clients may connect to it as soon as someone listens on its descriptor. */
export interface BoundListener {
  readonly spec: BoundListenerSpec;
  /** Of this process; lent, not given. */
  readonly fd: number;
  /** For a sidecar in this process, which then owns the socket. */
  readonly source: SidecarListener['source'];
  /** Where clients find it: `http://127.0.0.1:4000`, `unix:/run/slipstream.sock`. */
  readonly url: string;
  /** The address as bound; the path of a Unix socket. */
  readonly address: string;
  /** 0 for Unix sockets. */
  readonly port: number;
  /** Closes this process's copy. For Unix sockets that takes the file away too. Once. */
  close(): void;
}

/**
 * Binds all or none, without listening: what can't be had is known before anything else is started.
 *
 * @throws {StartError} in words for the operator.
 */
export async function bindListeners(
  specs: readonly ListenerSpec[],
  inherited: readonly InheritedSocket[],
): Promise<BoundListener[]> {
  const bound: BoundListener[] = [];
  try {
    for (const spec of specs) bound.push(...(await bind(spec, specs, inherited)));
    return bound;
  } catch (error) {
    for (const listener of bound) listener.close();
    throw error;
  }
}

/** What is said when listen(2) finds that the address was taken in the same moment. */
export function listenerTaken(listener: BoundListener | undefined): StartError {
  if (listener === undefined || !listener.spec.isUnix) return portTaken(listener?.port ?? 0);
  return new StartError(`${listener.url} is already in use`);
}

async function bind(
  spec: ListenerSpec,
  all: readonly ListenerSpec[],
  inherited: readonly InheritedSocket[],
): Promise<BoundListener[]> {
  const { target } = spec;
  switch (target.type) {
    case 'tcp': {
      const bound = await bindPublicAddress(target.host, target.port, hasIpv4Twin(target.port, all));
      const { address, port } = bound.address();
      const url = urlOf(address, port, spec.tls !== null);
      return [boundListener(spec, { name: hostAndPort(address, port), isUnix: false, url, address, port, bound })];
    }
    case 'unix': {
      const bound = await bindUnixSocket(target.path, target.mode);
      const name = `unix:${target.path}`;
      return [boundListener(spec, { name, isUnix: true, url: name, address: target.path, port: 0, bound })];
    }
    case 'systemd': {
      const mine = inherited.filter(({ name }) => target.name === null || target.name === name);
      if (mine.length > 0) return mine.map((socket) => inheritedListener(spec, socket));
      throw new StartError(
        target.name === null
          ? 'systemd passed no sockets (LISTEN_FDS and LISTEN_PID are not set for this process)'
          : `systemd passed no socket named ${JSON.stringify(target.name)}`,
      );
    }
    default:
      return target satisfies never;
  }
}

interface Parts {
  readonly name: string;
  readonly isUnix: boolean;
  readonly url: string;
  readonly address: string;
  readonly port: number;
  readonly bound: Awaited<ReturnType<typeof bindPublicAddress>>;
}

function boundListener(spec: ListenerSpec, { name, isUnix, bound, ...rest }: Parts): BoundListener {
  return {
    spec: { name, isUnix, isKept: false, tls: spec.tls, proxyProtocol: spec.proxyProtocol },
    fd: bound.fd(),
    source: { bound },
    ...rest,
    close: () => bound.close(),
  };
}

function inheritedListener(spec: ListenerSpec, { fd, name, path, port }: InheritedSocket): BoundListener {
  const isUnix = path !== null;
  return {
    spec: { name: `systemd:${name}`, isUnix, isKept: true, tls: spec.tls, proxyProtocol: spec.proxyProtocol },
    fd,
    source: { fd },
    url: isUnix ? `unix:${path}` : urlOf('0.0.0.0', port, spec.tls !== null),
    address: path ?? `systemd:${name}`,
    port,
    close: () => closeInherited(fd),
  };
}

/** `[::]` takes IPv4 too, unless a listener of its own does. */
function hasIpv4Twin(port: number, all: readonly ListenerSpec[]): boolean {
  return all.some(({ target }) => target.type === 'tcp' && target.port === port && !target.host.includes(':'));
}

function hostAndPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
