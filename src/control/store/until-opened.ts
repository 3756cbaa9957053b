import type { StoreKeeper } from './store-keeper.ts';

const TIMEOUT_MS = 5000;

/** The store is open, or could not be opened, or that takes too long. */
export async function untilOpened(keeper: StoreKeeper): Promise<void> {
  if (keeper.status.state !== 'opening') return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const remove = keeper.onOpen(() => resolve());
  const startedAtMs = performance.now();
  // That it could not be opened is said to nobody.
  const timer = setInterval(() => {
    if (keeper.status.state !== 'opening' || performance.now() - startedAtMs > TIMEOUT_MS) resolve();
  }, 50);
  await promise;
  clearInterval(timer);
  remove();
}
