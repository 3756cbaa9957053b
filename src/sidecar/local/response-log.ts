import { closeSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../../runtime/logger.ts';

const FILE = 'responses.ndjson';
/** Then the file becomes the older one of two: together they cover what `ResponseOwners` keeps. */
const MAX_ENTRIES = 100_000;

export interface ResponseEntry {
  readonly responseId: string;
  readonly deploymentId: string;
  readonly owner: string;
}

/** Remembers on disk which deployment made a response, so that `/responses/{id}` works after a restart. */
export class ResponseLog {
  readonly #path: string;
  readonly #logger: Logger;
  #fd = -1;
  #entries = 0;

  constructor(directory: string, logger: Logger) {
    this.#path = join(directory, FILE);
    this.#logger = logger;
  }

  /** What is known from before, oldest first. */
  load(): ResponseEntry[] {
    const entries = [...readEntries(`${this.#path}.old`), ...readEntries(this.#path)];
    this.#entries = entries.length;
    return entries;
  }

  append(entry: ResponseEntry): void {
    try {
      if (this.#entries >= MAX_ENTRIES) this.#rotate();
      const line = `${JSON.stringify([entry.responseId, entry.deploymentId, entry.owner])}\n`;
      if (this.#fd === -1) {
        this.#fd = openSync(this.#path, 'a', 0o600);
        // A kill may have torn the last line: the first one after it begins anew.
        writeSync(this.#fd, `\n${line}`);
      } else {
        writeSync(this.#fd, line);
      }
      this.#entries += 1;
    } catch (error) {
      // Only a restart would miss it: the workers have it in memory.
      this.#logger.warn('responses are not remembered on disk', { error: String(error) });
    }
  }

  close(): void {
    if (this.#fd !== -1) closeSync(this.#fd);
    this.#fd = -1;
  }

  #rotate(): void {
    this.close();
    renameSync(this.#path, `${this.#path}.old`);
    this.#entries = 0;
  }
}

function readEntries(path: string): ResponseEntry[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return []; // the first start, or before the first rotation
  }
  const entries: ResponseEntry[] = [];
  for (const line of text.split('\n')) {
    const entry = parseEntry(line);
    if (entry !== null) entries.push(entry);
  }
  return entries;
}

/** null for a line torn by a kill. */
function parseEntry(line: string): ResponseEntry | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (!Array.isArray(value) || value.length !== 3 || !value.every((part) => typeof part === 'string')) return null;
  const [responseId, deploymentId, owner] = value as [string, string, string];
  return { responseId, deploymentId, owner };
}
