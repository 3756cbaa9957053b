import type { UsageBackend } from './usage-backend.ts';

export type UsageMethod = keyof UsageBackend;

/** A call of a `UsageBackend`, as it goes to the thread that has the database. */
export interface UsageCall {
  readonly method: UsageMethod;
  readonly args: readonly unknown[];
}

/** The backend as its callers see it. @param send carries a call out in the thread. */
export function usageBackendOver(send: (call: UsageCall) => Promise<unknown>): UsageBackend {
  const call =
    (method: UsageMethod) =>
    (...args: readonly unknown[]): Promise<never> =>
      send({ method, args }) as Promise<never>;
  return {
    states: call('states'),
    ingestChunk: call('ingestChunk'),
    openWriters: call('openWriters'),
    endWriter: call('endWriter'),
    makeDurable: call('makeDurable'),
    deleteEvents: call('deleteEvents'),
    forgetSegments: call('forgetSegments'),
  };
}

type Methods = Readonly<Record<UsageMethod, (...args: never[]) => unknown>>;

/** In the thread: what a call asks for. */
export function carryOut(backend: Methods, { method, args }: UsageCall): unknown {
  return (backend[method] as (...args: readonly unknown[]) => unknown).apply(backend, args as unknown[]);
}
