import type { IncomingHttpHeaders } from 'node:http';

/** After the gateway's own header and `Authorization`, in this order (decisions, "Keys on the wire"). */
const PLAIN_CARRIERS = ['api-key', 'x-api-key', 'x-goog-api-key', 'ocp-apim-subscription-key'] as const;

/** The key a request carries, or null. The first carrier found wins, whatever it holds. */
export function readAdminKey(headers: IncomingHttpHeaders, ownHeaderName: string | null): string | null {
  const own = single(headers['x-litellm-api-key']) ?? (ownHeaderName === null ? null : single(headers[ownHeaderName]));
  if (own !== null) return bearerToken(own) ?? own;
  const token = headers.authorization === undefined ? null : bearerToken(headers.authorization);
  if (token !== null) return token;
  for (const name of PLAIN_CARRIERS) {
    const value = single(headers[name]);
    if (value !== null) return value;
  }
  return null;
}

function single(value: string | string[] | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function bearerToken(value: string): string | null {
  const token = /^bearer +(\S+) *$/i.exec(value)?.[1];
  return token ?? null;
}
