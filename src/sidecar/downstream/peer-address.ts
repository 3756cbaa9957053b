import type { Socket } from 'node:net';
import { formatIpAddress, parseIpAddress } from '../../base/ip-address.ts';

/** Canonical: IPv4 as such, also where an IPv6 socket accepted it, and no zone. Null for a Unix socket. */
export function peerAddress({ remoteAddress }: Socket): string | null {
  if (remoteAddress === undefined) return null;
  const bytes = parseIpAddress(remoteAddress.split('%', 1)[0] ?? '');
  return bytes === null ? null : formatIpAddress(bytes);
}
