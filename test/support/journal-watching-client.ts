import { parentPort, workerData } from 'node:worker_threads';
import { readJournalText } from './sidecar-harness.ts';
import { RawClient } from './raw-client.ts';

/* A client in a thread of its own: at the moment it has an answer's last byte it looks whether the line is on disk. */

export interface WatchTask {
  readonly port: number;
  readonly journalDirectory: string;
  /** latin1 */
  readonly requests: readonly string[];
}

export interface Watched {
  readonly status: number;
  readonly framing: string;
  readonly id: string | null;
  /** The journal had the line when the last byte came. */
  readonly wasJournaled: boolean;
}

const { port, journalDirectory, requests } = workerData as WatchTask;
const results: Watched[] = [];
for (const request of requests) {
  const client = new RawClient(port);
  const reply = await client.send(request).reply();
  const text = readJournalText(journalDirectory);
  const id = reply.header('x-slipstream-call-id');
  results.push({
    status: reply.status,
    framing: reply.framing,
    id,
    wasJournaled: id !== null && text.includes(`"id":"${id}"`) && text.endsWith('\n'),
  });
  client.close();
}
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
parentPort?.postMessage(results);
