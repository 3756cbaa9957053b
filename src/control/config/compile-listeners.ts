import { type ListenerSpec, type ListenTarget, parseListenAddress } from '../../contract/listener.ts';
import { reportIssues } from './compile-keys.ts';
import { formatPath, itemsOf, type MapNode, nodeAt, positionAt, toTexts } from './config-node.ts';
import type { Findings } from './findings.ts';
import { type ListenerEntry, listenerSchema } from './listener-schema.ts';

/** `slipstream.listen`; null where it is not set. Addresses are read at start only. */
export function compileListeners(root: MapNode, defaultPort: number, findings: Findings): ListenerSpec[] | null {
  const path = ['slipstream', 'listen'];
  const list = nodeAt(root, path);
  if (list === null) return null;
  if (list.kind !== 'list' || list.items.length === 0) {
    findings.error(list.position, formatPath(path), 'must be a list of addresses');
    return null;
  }
  const listeners: ListenerSpec[] = [];
  for (const [index, item] of itemsOf(list).entries()) {
    const itemPath = [...path, index];
    const parsed = listenerSchema.safeParse(toTexts(item));
    if (!parsed.success) {
      reportIssues(parsed.error, root, itemPath, findings);
      continue;
    }
    const listener = compileListener(parsed.data, defaultPort);
    if (typeof listener !== 'string') listeners.push(listener);
    else findings.error(positionAt(root, itemPath), formatPath(itemPath), listener);
  }
  return listeners;
}

/** @returns what is wrong, in words. */
function compileListener(entry: ListenerEntry, defaultPort: number): ListenerSpec | string {
  const address = parseListenAddress(entry.address, defaultPort);
  if (typeof address === 'string') return address;
  const target = withMode(address.target, entry.mode);
  return typeof target === 'string' ? target : { target, tls: null, proxyProtocol: false };
}

function withMode(target: ListenTarget, mode: number | undefined): ListenTarget | string {
  if (mode === undefined) return target;
  return target.type === 'unix' ? { ...target, mode } : 'only Unix sockets have a mode';
}
