import type { ProviderSpec } from '../../domain/providers/catalogue.ts';

export type HeaderList = readonly (readonly [name: string, value: string])[];

/** Anthropic's API wants one; a client's own wins. The value is the only one there has been since 2023. */
export const DEFAULT_ANTHROPIC_VERSION = '2023-06-01';

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 §5.5: field-vchar, obs-text, and spaces and tabs between them. */
const VALUE = /^[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/;

/** Hop-by-hop (RFC 9110 §7.6.1), framing, and what the gateway itself decides for every request. */
const OWN_HEADERS = new Set(
  `accept-encoding connection content-encoding content-length expect host keep-alive proxy-authenticate
   proxy-authorization proxy-connection te trailer transfer-encoding upgrade`.split(/\s+/),
);

/** Why a header can't be set by the configuration, or null. Never quotes the value. */
export function headerFault(name: string, value: string): string | null {
  if (!TOKEN.test(name)) return 'is no header name';
  if (OWN_HEADERS.has(name.toLowerCase())) return 'is set by the gateway itself';
  return isHeaderValue(value) ? null : 'has a value with characters that a header cannot carry';
}

export function isHeaderValue(value: string): boolean {
  return VALUE.test(value);
}

/** The header that carries a provider's key. */
export function credentialHeaders(credential: ProviderSpec['credential'], key: string): HeaderList {
  switch (credential) {
    case 'bearer':
      return [['authorization', `Bearer ${key}`]];
    case 'x-api-key':
    case 'api-subscription-key':
      return [[credential, key]];
    default:
      return credential satisfies never;
  }
}

/** Lower-case names, each once: later ones win. */
export function mergeHeaders(...lists: readonly HeaderList[]): HeaderList {
  const merged = new Map<string, string>();
  for (const [name, value] of lists.flat()) merged.set(name.toLowerCase(), value);
  return [...merged];
}
