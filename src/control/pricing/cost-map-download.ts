import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../../runtime/logger.ts';
import { CostMap } from './cost-map.ts';

const FILE_NAME = 'model-cost-map.json';
const REFRESH_MS = 6 * 3600 * 1000;
const FETCH_TIMEOUT_MS = 30_000;
/** LiteLLM's own has less than two. */
const MAX_MAP_BYTES = 32 * 1024 * 1024;

export interface CostMapDownloadOptions {
  /** Where the last good map is kept, for starts without network. */
  readonly dataDirectory: string;
  readonly logger: Logger;
  /** A new map is there. */
  readonly onChange: () => void;
}

/**
 * The price map at an address, fetched beside everything else: neither a start nor a change of the configuration waits for
 * it, and what was fetched last holds until something else comes.
 */
export class CostMapDownload {
  readonly #options: CostMapDownloadOptions;
  readonly #maps = new Map<string, unknown>();
  #address: string | null = null;
  #text = '';
  #timer: NodeJS.Timeout | null = null;
  #abort: AbortController | null = null;

  constructor(options: CostMapDownloadOptions) {
    this.#options = options;
    this.#readKept();
  }

  /** Address → map. */
  get maps(): ReadonlyMap<string, unknown> {
    return this.#maps;
  }

  /** Fetches from here on, at once and then every six hours; null: nothing. The same address again changes nothing. */
  follow(address: string | null): void {
    if (address === this.#address) return;
    this.close();
    this.#address = address;
    if (address === null) return;
    void this.#fetch(address);
    this.#timer = setInterval(() => void this.#fetch(address), REFRESH_MS).unref();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#abort?.abort();
    this.#abort = null;
    this.#address = null;
  }

  async #fetch(address: string): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(FETCH_TIMEOUT_MS)]);
      const text = await fetchText(address, signal);
      if (text === this.#text) return;
      const map: unknown = JSON.parse(text);
      void new CostMap(map);
      this.#text = text;
      this.#maps.set(address, map);
      this.#keep(address, map);
      this.#options.onChange();
    } catch (error) {
      if (abort.signal.aborted) return;
      const reason = error instanceof Error ? error.message : 'unknown';
      this.#options.logger.warn('the price map was not fetched; the prices there are stay', { reason });
    }
  }

  #readKept(): void {
    try {
      const kept = JSON.parse(readFileSync(this.#path, 'utf8')) as { address: string; map: unknown };
      void new CostMap(kept.map);
      this.#maps.set(kept.address, kept.map);
    } catch {
      // There is none, or none that can be used: it is fetched.
    }
  }

  #keep(address: string, map: unknown): void {
    const next = `${this.#path}.new`;
    writeFileSync(next, JSON.stringify({ address, map }), { mode: 0o600 });
    renameSync(next, this.#path);
  }

  get #path(): string {
    return join(this.#options.dataDirectory, FILE_NAME);
  }
}

async function fetchText(address: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(address, { signal, redirect: 'follow' });
  if (!response.ok || response.body === null) throw new TypeError(`status ${response.status}`);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body) {
    bytes += part.length;
    if (bytes > MAX_MAP_BYTES) throw new TypeError(`it has more than ${MAX_MAP_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
