import { WebSocket } from 'ws';

/** What a thread does from the next turn of its loop on. */
export const THREAD_FAULTS = {
  throws: "setImmediate(() => { throw new Error('chaos'); })",
  hangs: 'setImmediate(() => { for (;;); })',
} as const;
export type ThreadFault = keyof typeof THREAD_FAULTS;

/** A message of the debugging protocol, as far as it is looked at. */
interface Message {
  readonly method?: string;
  readonly params?: { readonly sessionId?: string };
}

/** Threads are there from the start: all are told of in one go. */
const ATTACH_MS = 300;

/**
 * Brings a fault about in one worker thread of a process started with `--inspect=127.0.0.1:0`.
 *
 * @param url as the process prints it. @param random 0 ≤ x < 1: which thread.
 */
export async function breakThread(url: string, fault: ThreadFault, random: number): Promise<void> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve());
    socket.once('error', reject);
  });
  try {
    const sessions: string[] = [];
    socket.on('message', (data: Buffer) => {
      const { method, params } = JSON.parse(data.toString('utf8')) as Message;
      if (method === 'NodeWorker.attachedToWorker' && params?.sessionId !== undefined) sessions.push(params.sessionId);
    });
    socket.send(JSON.stringify({ id: 1, method: 'NodeWorker.enable', params: { waitForDebuggerOnStart: false } }));
    await new Promise((resolve) => setTimeout(resolve, ATTACH_MS));
    const sessionId = sessions[Math.floor(random * sessions.length)];
    if (sessionId === undefined) throw new Error('the process has no worker thread');
    const expression = THREAD_FAULTS[fault];
    const message = JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } });
    socket.send(JSON.stringify({ id: 2, method: 'NodeWorker.sendMessageToWorker', params: { sessionId, message } }));
    await new Promise((resolve) => setTimeout(resolve, ATTACH_MS));
  } finally {
    socket.terminate();
  }
}
