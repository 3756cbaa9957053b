import { closeSync, openSync } from 'node:fs';
import type { Logger } from '../runtime/logger.ts';

const LOOK_INTERVAL_MS = 1_000;

/**
 * Says when no file descriptor is left, and when there are some again. Nobody else does: what can't be accepted then is
 * closed unread by libuv (uv__emfile_trick), without an event, and no line of a request tells of it.
 */
export class DescriptorWatch {
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | null = null;
  #isOut = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.look();
    }, LOOK_INTERVAL_MS).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Opening and closing a device costs some microseconds; counting the descriptors in use would cost one of each. */
  look(): void {
    const isOut = !canOpen();
    if (isOut === this.#isOut) return;
    this.#isOut = isOut;
    if (isOut) this.#logger.error('out of file descriptors: new connections are closed unread; raise `ulimit -n`');
    else this.#logger.warn('there are file descriptors again');
  }
}

function canOpen(): boolean {
  try {
    closeSync(openSync('/dev/null', 'r'));
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    return code !== 'EMFILE' && code !== 'ENFILE';
  }
}
