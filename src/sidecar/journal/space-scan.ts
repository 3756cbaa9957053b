import { readdir, stat } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../../runtime/logger.ts';
import { setBytesOnDisk, writtenByWorkers, type JournalSpaceCells } from './journal-space.ts';

/** So soon it is noticed that someone has deleted segments. */
const SCAN_INTERVAL_MS = 5_000;

/** The main thread's part in `max_bytes`: counts what is on disk now and then, off the loop. @returns what ends it. */
export function startSpaceScan(directory: string, cells: JournalSpaceCells, logger: Logger): () => void {
  let isRunning = false;
  const scan = (): void => {
    if (isRunning) return; // the last one waits for the disk
    isRunning = true;
    const written = writtenByWorkers(cells);
    measure(directory, (error, bytes) => {
      isRunning = false;
      if (error === null) setBytesOnDisk(cells, bytes, written);
      else logger.warn('the journal can not be measured', { error: error.message });
    });
  };
  scan();
  const timer = setInterval(scan, SCAN_INTERVAL_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
  };
}

function measure(directory: string, done: (error: Error | null, bytes: number) => void): void {
  readdir(directory, (error, names) => {
    let bytes = 0;
    const next = (index: number): void => {
      if (index === names.length) {
        done(null, bytes);
        return;
      }
      stat(join(directory, names[index]!), (missing, found) => {
        if (missing === null) bytes += found.size; // else it was deleted meanwhile
        next(index + 1);
      });
    };
    if (error === null) next(0);
    else if (error.code === 'ENOENT') done(null, 0);
    else done(error, 0);
  });
}
