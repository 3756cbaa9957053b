import { lookup } from 'node:dns/promises';
import { BoundSocket, isIP } from 'node:net';
import { StartError, systemReason } from './start-error.ts';

const ALL_IPV6 = '::';
const ALL_IPV4 = '0.0.0.0';

/** What bind(2) says on a machine without IPv6. */
const NO_IPV6_CODES = ['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL', 'EPROTONOSUPPORT'];

/**
 * Binds at once, without listening: a port that is taken is known before anything else is started.
 *
 * @param ipv6Only `::` leaves IPv4 to another listener.
 * @throws {StartError} in words for the operator.
 */
export async function bindPublicAddress(host: string, port: number, ipv6Only = false): Promise<BoundSocket> {
  const address = await resolveHost(host);
  try {
    return new BoundSocket({ host: address, port, ...(ipv6Only && isIP(address) === 6 ? { ipv6Only } : {}) });
  } catch (error) {
    // Where IPv4 has a listener of its own there is nothing to fall back to.
    if (address !== ALL_IPV6 || ipv6Only || !NO_IPV6_CODES.includes(codeOf(error))) throw describe(error, host, port);
  }
  try {
    return new BoundSocket({ host: ALL_IPV4, port });
  } catch (error) {
    throw describe(error, ALL_IPV4, port);
  }
}

export function portTaken(port: number): StartError {
  const other = port < 65_535 ? port + 1 : port - 1;
  return new StartError(
    `port ${port} is already in use; choose another one, for example: npm start -- --port ${other}`,
  );
}

/** `http://127.0.0.1:4000`; an address that stands for all is shown as this machine's own. */
export function urlOf(host: string, port: number, isTls = false): string {
  const scheme = isTls ? 'https' : 'http';
  if (host === ALL_IPV4 || host === ALL_IPV6) return `${scheme}://127.0.0.1:${port}`;
  return isIP(host) === 6 ? `${scheme}://[${host}]:${port}` : `${scheme}://${host}:${port}`;
}

async function resolveHost(host: string): Promise<string> {
  if (isIP(host) !== 0) return host;
  try {
    return (await lookup(host)).address;
  } catch (error) {
    throw new StartError(`cannot listen on ${JSON.stringify(host)}: ${systemReason(error)}`);
  }
}

function describe(error: unknown, host: string, port: number): StartError {
  const code = codeOf(error);
  if (code === 'EADDRINUSE') return portTaken(port);
  if (code === 'EACCES') return new StartError(`port ${port} needs privileges that this user does not have`);
  if (code === 'EADDRNOTAVAIL') return new StartError(`${host} is not an address of this machine`);
  return new StartError(`cannot listen on ${host}, port ${port}: ${systemReason(error)}`);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
