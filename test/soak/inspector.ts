import { WebSocket } from 'ws';

/** What a running process says of itself, right after a forced garbage collection. */
export interface ProcessSample {
  readonly pid: number;
  readonly heapBytes: number;
  /** Outside of V8's heap, array buffers included. */
  readonly externalBytes: number;
  readonly rssBytes: number;
  /** Open handles by kind (`process.getActiveResourcesInfo`), timers among them. */
  readonly resources: Readonly<Record<string, number>>;
}

interface Reply {
  readonly id: number;
  readonly result?: { readonly result?: { readonly value?: unknown } };
  readonly error?: { readonly message: string };
}

const EXPRESSION =
  'JSON.stringify({ pid: process.pid, memory: process.memoryUsage(), resources: process.getActiveResourcesInfo() })';
/** Calls that are under way, such as a look at the journal's directory, come and go: nobody keeps them. */
const UNDER_WAY = /Req(?:Callback|Promise|Wrap)$|^Immediate$/;
/** What one collection frees (finalizers, weak references) is there for the next one. */
const COLLECTIONS = 3;

/**
 * Asks a process started with `--inspect=127.0.0.1:0`, over a connection made for this and closed again, so that nothing
 * of the inspector's lives in the process between two samples.
 *
 * @param url as the process prints it: `ws://127.0.0.1:…`
 */
export async function sampleProcess(url: string): Promise<ProcessSample> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve());
    socket.once('error', reject);
  });
  try {
    for (let i = 0; i < COLLECTIONS; i += 1) await ask(socket, 'HeapProfiler.collectGarbage', {});
    const { result } = await ask(socket, 'Runtime.evaluate', { expression: EXPRESSION, returnByValue: true });
    const { pid, memory, resources } = JSON.parse(String(result?.result?.value)) as {
      pid: number;
      memory: NodeJS.MemoryUsage;
      resources: string[];
    };
    const counts: Record<string, number> = {};
    for (const name of resources) if (!UNDER_WAY.test(name)) counts[name] = (counts[name] ?? 0) + 1;
    return { pid, heapBytes: memory.heapUsed, externalBytes: memory.external, rssBytes: memory.rss, resources: counts };
  } finally {
    socket.terminate();
  }
}

let lastId = 0;

async function ask(socket: WebSocket, method: string, params: object): Promise<Reply> {
  lastId += 1;
  const id = lastId;
  const reply = new Promise<Reply>((resolve, reject) => {
    const onMessage = (data: Buffer): void => {
      const message = JSON.parse(data.toString('utf8')) as Reply;
      if (message.id !== id) return;
      socket.off('message', onMessage);
      if (message.error === undefined) resolve(message);
      else reject(new Error(`${method}: ${message.error.message}`));
    };
    socket.on('message', onMessage);
    socket.once('close', () => reject(new Error(`${method}: the process is gone`)));
  });
  socket.send(JSON.stringify({ id, method, params }));
  return reply;
}
