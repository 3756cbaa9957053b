import { CommaList } from './comma-list.ts';
import { HeaderId } from './header-id.ts';
import type { HeaderTable } from './header-table.ts';

/**
 * Whether a Connection header names the header at `index`, which then ends here and is not forwarded (RFC 9110 §7.6.1).
 * Walks over the Connection lines, so ask only if the head's `connectionNamesHeaders` says that it may.
 */
export function isNamedByConnection(headers: HeaderTable, index: number): boolean {
  const name = headers.name(index);
  for (let line = 0; line < headers.count; line++) {
    if (headers.id(line) !== HeaderId.Connection) continue;
    const options = new CommaList(headers, line);
    while (options.next()) if (options.elementEquals(name)) return true;
  }
  return false;
}
