import {
  type ConfiguredListener,
  type ListenTarget,
  NO_TLS_WISHES,
  parseListenAddress,
  type TlsWishes,
} from '../../contract/listener.ts';
import { reportIssues } from './report-issues.ts';
import { formatPath, itemsOf, type MapNode, nodeAt, positionAt, toTexts } from './config-node.ts';
import type { Findings } from './findings.ts';
import { type ListenerEntry, listenerSchema } from './listener-schema.ts';
import type { Settings } from './settings-schema.ts';

/** `slipstream.listen`; null where it is not set. Addresses are read at start only. */
export function compileListeners(root: MapNode, settings: Settings, findings: Findings): ConfiguredListener[] | null {
  const path = ['slipstream', 'listen'];
  const list = nodeAt(root, path);
  if (list === null) return null;
  if (list.kind !== 'list' || list.items.length === 0) {
    findings.error(list.position, formatPath(path), 'must be a list of addresses');
    return null;
  }
  const listeners: ConfiguredListener[] = [];
  for (const [index, item] of itemsOf(list).entries()) {
    const itemPath = [...path, index];
    const parsed = listenerSchema.safeParse(toTexts(item));
    if (!parsed.success) {
      reportIssues(parsed.error, root, itemPath, findings);
      continue;
    }
    const listener = compileListener(parsed.data, settings.port);
    if (typeof listener !== 'string') listeners.push(listener);
    else findings.error(positionAt(root, itemPath), formatPath(itemPath), listener);
  }
  return listeners;
}

/** `slipstream.tls`, the part that listeners share. */
export function compileTls({ tls }: Settings): TlsWishes {
  return {
    certFile: tls.cert_file,
    keyFile: tls.key_file,
    caFile: tls.ca_file,
    clientAuth: tls.client_auth,
    minVersion: tls.min_version,
  };
}

/** @returns what is wrong, in words. */
function compileListener(entry: ListenerEntry, defaultPort: number): ConfiguredListener | string {
  const address = parseListenAddress(entry.address, defaultPort);
  if (typeof address === 'string') return address;
  const target = withMode(address.target, entry.mode);
  if (typeof target === 'string') return target;
  const isTls = entry.tls === undefined ? address.scheme === 'https' : entry.tls !== false;
  if (address.scheme !== null && isTls !== (address.scheme === 'https')) return `tls and ${address.scheme}:// differ`;
  const wishes = typeof entry.tls === 'object' ? wishesOf(entry.tls) : NO_TLS_WISHES;
  return { target, tls: isTls ? wishes : null, proxyProtocol: entry.proxy_protocol ?? null };
}

function wishesOf(tls: Exclude<ListenerEntry['tls'], boolean | undefined>): TlsWishes {
  return {
    certFile: tls.cert_file ?? null,
    keyFile: tls.key_file ?? null,
    caFile: tls.ca_file ?? null,
    clientAuth: tls.client_auth ?? null,
    minVersion: tls.min_version ?? null,
  };
}

function withMode(target: ListenTarget, mode: number | undefined): ListenTarget | string {
  if (mode === undefined) return target;
  return target.type === 'unix' ? { ...target, mode } : 'only Unix sockets have a mode';
}
