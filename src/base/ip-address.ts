/** An address as 16 bytes; IPv4 is mapped into IPv6 (`::ffff:1.2.3.4`, RFC 4291 §2.5.5.2). */
export type IpBytes = Uint8Array;

const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
const LONGEST_TEXT = 45;

/** Strict: four decimal parts without leading zeros, or RFC 4291 §2.2 without a zone; null for all else. */
export function parseIpAddress(text: string): IpBytes | null {
  if (text.length > LONGEST_TEXT) return null;
  if (!text.includes(':')) {
    const v4 = parseIpv4(text);
    return v4 === null ? null : Uint8Array.of(...MAPPED_PREFIX, ...v4);
  }
  return parseIpv6(text);
}

/** Dotted for IPv4, mapped or not; RFC 5952 for IPv6. So one address has one text. */
export function formatIpAddress(bytes: IpBytes): string {
  if (isMapped(bytes)) return bytes.subarray(12).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => (bytes[2 * index]! << 8) | bytes[2 * index + 1]!);
  const { start, length } = longestZeroRun(groups);
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  return length < 2 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

function isMapped(bytes: IpBytes): boolean {
  return MAPPED_PREFIX.every((byte, index) => bytes[index] === byte);
}

function parseIpv4(text: string): number[] | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  const numbers = parts.map((part) => (/^(?:0|[1-9]\d{0,2})$/.test(part) ? Number(part) : 256));
  return numbers.every((number) => number < 256) ? numbers : null;
}

function parseIpv6(text: string): IpBytes | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 1 ? [] : parseGroups(halves[1]!, true);
  if (head === null || tail === null) return null;
  const missing = 16 - head.length - tail.length;
  // `::` stands for at least one group (RFC 4291 §2.2).
  if (halves.length === 1 ? missing !== 0 : missing < 2) return null;
  return Uint8Array.of(...head, ...Array.from({ length: missing }, () => 0), ...tail);
}

/** @param isLast the last group may be an IPv4 address. */
function parseGroups(text: string, isLast: boolean): number[] | null {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [index, group] of groups.entries()) {
    if (isLast && index === groups.length - 1 && group.includes('.')) {
      const v4 = parseIpv4(group);
      if (v4 === null) return null;
      bytes.push(...v4);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(group)) return null;
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    }
  }
  return bytes.length <= 16 ? bytes : null;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [index, group] of groups.entries()) {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  }
  return best;
}
