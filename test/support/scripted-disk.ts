import { NODE_DISK, type JournalDisk } from '../../src/sidecar/journal/journal-disk.ts';

export type DiskOperation = 'open' | 'write' | 'sync';

/** The real disk, with what is wrong with it: time that operations take, errors, writes that are cut short. */
export class ScriptedDisk implements JournalDisk {
  /** What each operation takes more, ms; in place the thread stands still for it. */
  delayMs: Partial<Record<DiskOperation, number>> = {};
  /** Error code that each operation ends with. */
  failure: Partial<Record<DiskOperation, string>> = {};
  /** Most bytes that one write takes. */
  maxWrite = Infinity;
  /** What was called, with the time on the event loop that it took. */
  readonly calls: { readonly operation: DiskOperation; readonly isPooled: boolean; readonly blockedMs: number }[] = [];
  openFiles = 0;

  makeDirectory(path: string): void {
    NODE_DISK.makeDirectory(path);
  }

  openSync(path: string): number {
    return this.#inPlace('open', () => {
      const fd = NODE_DISK.openSync(path);
      this.openFiles += 1;
      return fd;
    });
  }

  writeSync(fd: number, data: Uint8Array): number {
    return this.#inPlace('write', () => NODE_DISK.writeSync(fd, data.subarray(0, this.maxWrite)));
  }

  open(path: string, done: (error: NodeJS.ErrnoException | null, fd: number) => void): void {
    this.#pooled('open', (error) => {
      if (error !== null) {
        done(error, -1);
        return;
      }
      NODE_DISK.open(path, (failure, fd) => {
        if (failure === null) this.openFiles += 1;
        done(failure, fd);
      });
    });
  }

  write(fd: number, data: Uint8Array, done: (error: NodeJS.ErrnoException | null, written: number) => void): void {
    this.#pooled('write', (error) => {
      if (error !== null) done(error, 0);
      else NODE_DISK.write(fd, data.subarray(0, this.maxWrite), done);
    });
  }

  sync(fd: number, done: (error: NodeJS.ErrnoException | null) => void): void {
    this.#pooled('sync', (error) => {
      if (error !== null) done(error);
      else NODE_DISK.sync(fd, done);
    });
  }

  close(fd: number, done: (error: NodeJS.ErrnoException | null) => void): void {
    NODE_DISK.close(fd, (error) => {
      if (error === null) this.openFiles -= 1;
      done(error);
    });
  }

  /** How often this was called since `calls` was emptied last. */
  count(operation: DiskOperation, isPooled: boolean): number {
    return this.calls.filter((call) => call.operation === operation && call.isPooled === isPooled).length;
  }

  #inPlace<T>(operation: DiskOperation, run: () => T): T {
    const startMs = performance.now();
    try {
      const delayMs = this.delayMs[operation] ?? 0;
      if (delayMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delayMs);
      const code = this.failure[operation];
      if (code !== undefined) throw failureOf(code);
      return run();
    } finally {
      this.calls.push({ operation, isPooled: false, blockedMs: performance.now() - startMs });
    }
  }

  #pooled(operation: DiskOperation, done: (error: NodeJS.ErrnoException | null) => void): void {
    const code = this.failure[operation];
    this.calls.push({ operation, isPooled: true, blockedMs: 0 });
    setTimeout(() => {
      done(code === undefined ? null : failureOf(code));
    }, this.delayMs[operation] ?? 0);
  }
}

function failureOf(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: scripted`), { code });
}
