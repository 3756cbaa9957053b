/** Carries the client's key to us (Gemini's way), never to a provider. */
const WITHHELD = 'key';

/**
 * What goes to the provider of the query a client sent: all but its key, and but for what the deployment sets itself.
 *
 * @param query without `?`, as sent.
 * @param ownNames lower-case names that the deployment's own query has.
 */
export function passedQuery(query: string, ownNames: ReadonlySet<string>): string {
  if (query === '') return '';
  return query
    .split('&')
    .filter((part) => {
      const name = queryName(part);
      return part !== '' && name !== WITHHELD && !ownNames.has(name);
    })
    .join('&');
}

/** Lower-case names in a query: Azure's, for one, count in either case. */
export function queryNames(query: string): ReadonlySet<string> {
  return new Set(
    query
      .split('&')
      .filter((part) => part !== '')
      .map(queryName),
  );
}

/** Decoded, so that `k%65y` is `key`; lower case. */
function queryName(part: string): string {
  const end = part.indexOf('=');
  const name = (end === -1 ? part : part.slice(0, end)).replaceAll('+', ' ');
  try {
    return decodeURIComponent(name).toLowerCase();
  } catch {
    return name.toLowerCase();
  }
}
