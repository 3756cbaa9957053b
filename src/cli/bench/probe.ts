import { FrameReader } from './frame-reader.ts';
import { LoadConnection } from './load-connection.ts';
import type { LoadSpec, ProbeResult } from './load-spec.ts';
import { ReplyReader } from './reply-reader.ts';

/** Sends one request and answers with the whole reply. @throws when there is none. */
export async function probe(spec: LoadSpec): Promise<ProbeResult> {
  const reader = new ReplyReader(spec.isStream ? new FrameReader(() => {}) : null, true);
  return new Promise<ProbeResult>((resolve, reject) => {
    const end = (error: string | null): void => {
      clearTimeout(timer);
      connection.close();
      if (error !== null) reject(new Error(error));
      else if (!reader.hasNonce && reader.status === 200) reject(new Error('the reply lacks the nonce of its request'));
      else resolve({ status: reader.status, head: reader.head, body: reader.body.toString('utf8') });
    };
    let isSent = false;
    const connection = new LoadConnection(
      spec,
      {
        onIdle: (idle) => {
          if (isSent) return;
          isSent = true;
          idle.send(0, 1);
        },
        onLost: () => {},
        onReply: () => end(null),
        onFailure: (kind, note) => end(`${spec.host}:${spec.port}: ${kind} (${note})`),
      },
      reader,
    );
    const timer = setTimeout(() => end(`${spec.host}:${spec.port}: no reply in ${spec.timeoutMs} ms`), spec.timeoutMs);
    connection.open();
  });
}
