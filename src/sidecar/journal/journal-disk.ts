import { close, fsync, mkdirSync, open, openSync, write, writeSync } from 'node:fs';

type Failure = NodeJS.ErrnoException | null;

/** The file operations of the journal, as Node has them: in tests a disk that is slow, full or broken stands here. */
export interface JournalDisk {
  /** @throws on failure, as `writeSync`. */
  makeDirectory(path: string): void;
  openSync(path: string): number;
  /** @returns bytes written, which may be fewer than there are. */
  writeSync(fd: number, data: Uint8Array): number;
  open(path: string, done: (error: Failure, fd: number) => void): void;
  write(fd: number, data: Uint8Array, done: (error: Failure, written: number) => void): void;
  sync(fd: number, done: (error: Failure) => void): void;
  close(fd: number, done: (error: Failure) => void): void;
}

/** A segment is made by its writer, and only appended to. */
const FLAGS = 'ax';
const MODE = 0o600;

export const NODE_DISK: JournalDisk = {
  makeDirectory: (path) => {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  },
  openSync: (path) => openSync(path, FLAGS, MODE),
  writeSync: (fd, data) => writeSync(fd, data),
  open: (path, done) => {
    open(path, FLAGS, MODE, done);
  },
  write: (fd, data, done) => {
    write(fd, data, done);
  },
  sync: (fd, done) => {
    fsync(fd, done);
  },
  close: (fd, done) => {
    close(fd, done);
  },
};
