import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import { type SourceFile, stampOf } from './config/config-source.ts';

/** An editor writes in several steps: a change counts when nothing more has happened for this long. */
const SETTLE_MS = 100;
/**
 * Network and container file systems may report nothing, nor does the directory of a link whose target changes: look from
 * time to time all the same, often enough that a change is in force within a second.
 */
const POLL_MS = 500;

/**
 * Tells when one of some files has changed, been replaced or appeared. Directories are watched, not files: editors,
 * configuration management and Kubernetes put a new file in place of the old one.
 */
export class ConfigWatcher {
  readonly #onChange: () => void;
  #files: readonly SourceFile[] = [];
  #watchers: FSWatcher[] = [];
  #settle: NodeJS.Timeout | null = null;
  #poll: NodeJS.Timeout | null = null;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Watches these files instead, from the state in which they were read. */
  watch(files: readonly SourceFile[]): void {
    this.#closeWatchers();
    this.#poll ??= setInterval(() => this.#look(), POLL_MS).unref();
    this.#files = files;
    for (const directory of new Set(files.map((file) => dirname(file.path)))) this.#watchDirectory(directory);
    this.#look(); // they may have changed between being read and being watched
  }

  close(): void {
    if (this.#poll !== null) clearInterval(this.#poll);
    this.#poll = null;
    if (this.#settle !== null) clearTimeout(this.#settle);
    this.#settle = null;
    this.#closeWatchers();
  }

  #watchDirectory(directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#look());
      watcher.on('error', () => watcher.close()); // the directory is gone, or watches are used up: polling goes on
      this.#watchers.push(watcher);
    } catch {
      // polling goes on
    }
  }

  #closeWatchers(): void {
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers = [];
  }

  #look(): void {
    if (this.#settle !== null || !this.#hasChanged()) return;
    this.#waitUntilSettled(this.#stamps());
  }

  #waitUntilSettled(before: string): void {
    this.#settle = setTimeout(() => {
      const now = this.#stamps();
      if (now !== before) {
        this.#waitUntilSettled(now);
        return;
      }
      this.#settle = null;
      if (!this.#hasChanged()) return;
      this.#files = this.#files.map(({ path }) => ({ path, stamp: stampOf(path) }));
      this.#onChange();
    }, SETTLE_MS);
    this.#settle.unref();
  }

  #hasChanged(): boolean {
    return this.#files.some(({ path, stamp }) => stampOf(path) !== stamp);
  }

  #stamps(): string {
    return this.#files.map(({ path }) => stampOf(path)).join();
  }
}
