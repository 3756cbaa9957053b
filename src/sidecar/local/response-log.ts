import { closeSync, openSync, readFileSync, renameSync, write, writeSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Logger } from '../../runtime/logger.ts';
import { WritePace } from '../journal/write-pace.ts';

const FILE = 'responses.ndjson';
/** Then the file becomes the older one of two: together they cover what `ResponseOwners` keeps. */
const MAX_ENTRIES = 100_000;

/** Lines that wait for a disk that is slow; more are not remembered. */
const MAX_WAITING_CHARS = 1024 * 1024;

export interface ResponseEntry {
  readonly responseId: string;
  readonly deploymentId: string;
  readonly owner: string;
}

/**
 * Remembers on disk which deployment made a response, so that `/responses/{id}` works after a restart. As the journal, it
 * is written in place, and in the thread pool while the disk is slow.
 */
export class ResponseLog {
  readonly #path: string;
  readonly #logger: Logger;
  readonly #pace: WritePace = new WritePace();
  #fd = -1;
  #entries = 0;
  #waiting = '';
  #isWriting = false;
  #isClosing = false;

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
    if (this.#waiting.length > MAX_WAITING_CHARS) return; // the disk does not answer; the workers have it in memory
    this.#waiting += `${JSON.stringify([entry.responseId, entry.deploymentId, entry.owner])}\n`;
    this.#entries += 1;
    if (!this.#isWriting) this.#write();
  }

  close(): void {
    this.#isClosing = true;
    if (this.#waiting !== '') this.#write();
    if (!this.#isWriting) this.#closeFile();
  }

  #write(): void {
    const startMs = performance.now();
    try {
      if (this.#entries > MAX_ENTRIES) this.#rotate();
      // A kill may have torn the last line: the first one after it begins anew.
      const text = this.#fd === -1 ? `\n${this.#waiting}` : this.#waiting;
      this.#waiting = '';
      if (this.#fd === -1) this.#fd = openSync(this.#path, 'a', 0o600);
      if (this.#pace.isPooled && !this.#isClosing) {
        this.#writePooled(text, startMs);
        return;
      }
      writeSync(this.#fd, text);
    } catch (error) {
      this.#warn(error);
    }
    this.#pace.noteInPlace(startMs, performance.now());
  }

  /** The disk is slow: the loop goes on, and what comes meanwhile is written after it. */
  #writePooled(text: string, startMs: number): void {
    this.#isWriting = true;
    write(this.#fd, text, (error) => {
      this.#isWriting = false;
      this.#pace.notePooled(startMs, performance.now());
      if (error !== null) this.#warn(error);
      if (this.#isClosing) this.#closeFile();
      else if (this.#waiting !== '') this.#write();
    });
  }

  /** Only a restart would miss it: the workers have it in memory. */
  #warn(error: unknown): void {
    this.#logger.warn('responses are not remembered on disk', { error: String(error) });
  }

  #closeFile(): void {
    if (this.#fd !== -1) closeSync(this.#fd);
    this.#fd = -1;
  }

  #rotate(): void {
    this.#closeFile();
    renameSync(this.#path, `${this.#path}.old`);
    this.#entries = 1;
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
