import type { SidecarSettings } from '../../contract/snapshot.ts';
import type { HeaderTable } from '../../http1/header-table.ts';
import type { RequestHead } from '../../http1/request-head.ts';

/** Which web pages may read answers (fetch.spec.whatwg.org, "CORS protocol"), made ready for requests. */
export interface Cors {
  /** Null: any. */
  readonly origins: ReadonlySet<string> | null;
  /** Lines of an answer to a preflight, without those that depend on it. */
  readonly preflightLines: string;
}

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE';

export function compileCors({ cors }: SidecarSettings): Cors | null {
  if (cors.allowedOrigins.length === 0) return null;
  return Object.freeze({
    origins: cors.allowedOrigins.includes('*') ? null : new Set(cors.allowedOrigins),
    preflightLines:
      `access-control-allow-methods: ${METHODS}\r\n` +
      `access-control-max-age: ${Math.floor(cors.maxAgeMs / 1000)}\r\n`,
  });
}

/** A browser asks whether it may send a request. */
export function isPreflight({ method, headers }: RequestHead): boolean {
  return (
    method === 'OPTIONS' &&
    headers.findName('origin') !== -1 &&
    headers.findName('access-control-request-method') !== -1
  );
}

/** Lines of every answer. Keys travel in headers, not in cookies, so no page needs "credentials" in CORS' sense. */
export function corsLines({ origins }: Cors, headers: HeaderTable): string {
  if (origins === null) return 'access-control-allow-origin: *\r\naccess-control-expose-headers: *\r\n';
  const origin = valueOf(headers, 'origin');
  // Caches must not give one page's answer to another, nor to one what none asked for.
  if (origin === null || !origins.has(origin)) return 'vary: origin\r\n';
  return `access-control-allow-origin: ${origin}\r\nvary: origin\r\naccess-control-expose-headers: *\r\n`;
}

/** May pages of the origin that `headers` name use the gateway? */
export function isAllowed({ origins }: Cors, headers: HeaderTable): boolean {
  const origin = valueOf(headers, 'origin');
  return origins === null || (origin !== null && origins.has(origin));
}

function valueOf(headers: HeaderTable, name: string): string | null {
  const index = headers.findName(name);
  return index === -1 ? null : headers.value(index);
}
