import { readFileSync } from 'node:fs';

/** The product's version: package.json lies two folders up, from src/control as from dist/control. */
export function readProductVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as unknown;
  const isNamed = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return isNamed ? String(manifest.version) : 'unknown';
}
