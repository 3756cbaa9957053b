import { after } from 'node:test';
import { isMainThread } from 'node:worker_threads';

/** How long what the tests opened may take to close by itself. */
const GRACE_MS = 10_000;

// Loaded before each test file. A test that fails before it has closed what it opened would keep its file running, and
// the run with it, for ever. Threads started by a test inherit the option that loads this.
if (isMainThread && process.env['NODE_TEST_CONTEXT'] !== undefined) {
  after(() => {
    setTimeout(() => {
      process.stderr.write(
        `the tests of this file ended ${GRACE_MS / 1000} s ago and left open: ${process.getActiveResourcesInfo().join(', ')}\n`,
      );
      process.exit(1);
    }, GRACE_MS).unref();
  });
}
