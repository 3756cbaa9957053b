import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { restrictSocket } from '../control/unix-socket.ts';
import { StartError, systemReason } from './start-error.ts';

/* The socket on which `slipstream upgrade` reaches the process that runs the service: one line asks, lines answer. */

const COMMANDS = ['upgrade'] as const;
type Command = (typeof COMMANDS)[number];

/** What a command says while it runs. The last line is `done` or `failed`. */
type Answer = { readonly type: 'progress' | 'done' | 'failed'; readonly text: string };

/** `report` says what has been reached. @throws {StartError} with the reason. @returns what to say at the end. */
export type CommandHandler = (report: (text: string) => void) => Promise<string>;

const MAX_LINE_BYTES = 1024;

/**
 * Listens for commands, for this user only. Whoever has the data directory's lock owns the path: what lies there is left
 * from a process that died.
 *
 * @returns closes it.
 */
export async function serveCommands(path: string, upgrade: CommandHandler): Promise<() => void> {
  rmSync(path, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined); // who asked has gone
    void answer(socket, upgrade);
  });
  await listen(server, path);
  restrictSocket(path);
  return () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
}

async function answer(socket: Socket, upgrade: CommandHandler): Promise<void> {
  const say = (line: Answer): void => {
    if (!socket.destroyed) socket.write(`${JSON.stringify(line)}\n`);
  };
  try {
    const command = parseCommand(await readLine(socket));
    if (command === null) throw new StartError('this version does not know the command');
    const text = await upgrade((reached) => say({ type: 'progress', text: reached }));
    say({ type: 'done', text });
  } catch (error) {
    say({ type: 'failed', text: error instanceof Error ? error.message : String(error) });
  }
  socket.end();
}

function parseCommand(line: string): Command | null {
  return COMMANDS.find((command) => command === line) ?? null;
}

/**
 * Sends a command and hands each line of progress to `onProgress`.
 *
 * @returns its last word. @throws {StartError} when it failed or nobody listens at `path`.
 */
export async function sendCommand(path: string, command: Command, onProgress: (text: string) => void): Promise<string> {
  const socket = connect(path);
  socket.write(`${command}\n`);
  let rest = '';
  try {
    for await (const chunk of socket.setEncoding('utf8')) {
      const lines = `${rest}${chunk as string}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const { type, text } = JSON.parse(line) as Answer;
        if (type === 'done') return text;
        if (type === 'failed') throw new StartError(text);
        onProgress(text);
      }
    }
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(`no answer at ${path}: ${systemReason(error)}`);
  } finally {
    socket.destroy();
  }
  throw new StartError('the service ended before it answered');
}

/** The first line of what comes. */
async function readLine(socket: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    const end = text.indexOf('\n');
    if (end !== -1) resolve(text.slice(0, end));
    else if (text.length > MAX_LINE_BYTES) resolve('');
  });
  socket.once('close', () => resolve(''));
  return promise;
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new StartError(`cannot listen on ${path}: ${systemReason(error)}`)));
    server.listen(path, resolve);
  });
}
