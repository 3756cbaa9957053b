import type { FastifyReply, FastifyRequest } from 'fastify';

const METHODS = 'GET, HEAD, POST, DELETE';
const MAX_AGE_SECONDS = '600';

/** Of every answer (fetch.spec.whatwg.org, "CORS protocol"). Keys travel in headers: no page needs "credentials". */
export function corsHeaders(origin: string | undefined, allowed: readonly string[]): Record<string, string> {
  if (allowed.length === 0) return {};
  if (allowed.includes('*')) return { 'access-control-allow-origin': '*', 'access-control-expose-headers': '*' };
  // Caches must not give one page's answer to another, nor to one what none asked for.
  if (origin === undefined || !allowed.includes(origin)) return { vary: 'origin' };
  return { vary: 'origin', 'access-control-allow-origin': origin, 'access-control-expose-headers': '*' };
}

/** @returns true when the request was a browser's question whether it may send one, and has been answered. */
export function answerPreflight(request: FastifyRequest, reply: FastifyReply, allowed: readonly string[]): boolean {
  const { origin, 'access-control-request-method': method } = request.headers;
  if (request.method !== 'OPTIONS' || allowed.length === 0 || origin === undefined || method === undefined)
    return false;
  const isAllowed = allowed.includes('*') || allowed.includes(origin);
  if (isAllowed) {
    reply.header('access-control-allow-methods', METHODS).header('access-control-max-age', MAX_AGE_SECONDS);
    const asked = request.headers['access-control-request-headers'];
    if (asked !== undefined) reply.header('access-control-allow-headers', asked);
  }
  void reply.code(isAllowed ? 204 : 403).send();
  return true;
}
