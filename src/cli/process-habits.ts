import { flushCompileCache } from 'node:module';
import type { Logger } from '../runtime/logger.ts';

/** When start-up is over and the machine is calm again. */
const FLUSH_AFTER_MS = 2000;

/** Node writes its compile cache when a process exits; one that is killed would never leave anything for the next. */
export function flushCompileCacheSoon(): void {
  setTimeout(() => flushCompileCache(), FLUSH_AFTER_MS).unref();
}

/** An error that nobody caught ends the process, as a log line like any other. */
export function endOnUncaught(logger: Logger): void {
  process.on('uncaughtException', (error, origin) => {
    logger.error('uncaught error; this process ends', { origin, error });
    process.exit(1);
  });
}
