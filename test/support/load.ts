import { connect, type Socket } from 'node:net';
import { chatBytes } from './flow-support.ts';

/** How a request of a load ended. */
export interface LoadOutcome {
  /** `x-slipstream-call-id` of an answer that came whole. */
  readonly id: string | null;
  readonly status: number;
  /** Why there is no whole answer. */
  readonly failure: string | null;
}

export interface Load {
  readonly outcomes: readonly LoadOutcome[];
  /** No request begins after this; resolves when those under way have ended. */
  stop(): Promise<void>;
}

/**
 * Keep-alive clients, each one request after another. A client honours `connection: close`, and, as HTTP clients do,
 * connects anew when its connection ended between two requests (RFC 9110 section 9.2.2 lets it repeat nothing: a
 * request of which a byte was sent and that has no answer is a failure).
 */
export function startLoad(port: number, clients: number, model: string): Load {
  const outcomes: LoadOutcome[] = [];
  const state = { isRunning: true };
  const run = async (): Promise<void> => {
    let socket: Socket | null = null;
    while (state.isRunning) {
      if (socket === null || socket.destroyed || socket.readableEnded) socket = await open(port);
      if (socket === null) {
        outcomes.push({ id: null, status: 0, failure: 'connect' });
        await pause(5);
        continue;
      }
      const { outcome, keepAlive } = await request(socket, chatBytes(model));
      outcomes.push(outcome);
      if (!keepAlive) {
        socket.destroy();
        socket = null;
      }
      await pause(2);
    }
    socket?.destroy();
  };
  const all = Array.from({ length: clients }, run);
  return {
    outcomes,
    stop: async () => {
      state.isRunning = false;
      await Promise.all(all);
    },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function open(port: number): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.on('error', () => resolve(null));
    socket.once('connect', () => {
      socket.resume();
      resolve(socket);
    });
  });
}

function request(socket: Socket, bytes: Buffer): Promise<{ outcome: LoadOutcome; keepAlive: boolean }> {
  return new Promise((resolve) => {
    let text = '';
    const finish = (outcome: LoadOutcome, keepAlive: boolean): void => {
      socket.off('data', onData);
      socket.off('close', onClose);
      resolve({ outcome, keepAlive });
    };
    const onClose = (): void => {
      const error: NodeJS.ErrnoException | null = socket.errored;
      const failure = `closed after ${text.length} bytes (${error?.code ?? 'FIN'})`;
      finish({ id: null, status: 0, failure }, false);
    };
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      const headEnd = text.indexOf('\r\n\r\n');
      if (headEnd === -1) return;
      const head = text.slice(0, headEnd);
      const length = Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1]);
      if (text.length < headEnd + 4 + length) return;
      const id = /\r\nx-slipstream-call-id: (\S+)/.exec(head)?.[1] ?? null;
      finish({ id, status: Number(head.slice(9, 12)), failure: null }, !/\r\nconnection: close/.test(head));
    };
    socket.on('data', onData);
    socket.on('close', onClose);
    socket.write(bytes);
  });
}
