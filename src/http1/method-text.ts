import type { Bytes } from '../base/bytes.ts';

const METHODS = ['POST', 'GET', 'OPTIONS', 'DELETE', 'HEAD', 'PUT', 'PATCH', 'CONNECT', 'TRACE'] as const;

/** The method as a string, without making a new one for the usual methods. Methods are case-sensitive (RFC 9110 §9.1). */
export function methodText(bytes: Bytes, start: number, end: number): string {
  for (const method of METHODS) {
    if (method.length === end - start && equals(bytes, start, method)) return method;
  }
  return bytes.latin1Slice(start, end);
}

function equals(bytes: Bytes, start: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text.charCodeAt(i)) return false;
  return true;
}
