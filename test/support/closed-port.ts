import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * A port of this machine on which nobody listens, and that nobody is given meanwhile: it lies below those that the
 * kernel hands to whoever listens on port 0 (from 32,768 on), as every test beside this one does.
 */
export async function closedPort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false, // 'error'
    );
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}
