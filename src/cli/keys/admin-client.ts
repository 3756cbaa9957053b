import { request as requestHttp, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import { StartError, systemReason } from '../start-error.ts';

const TIMEOUT_MS = 30_000;
/** More than any reply of the management API. */
const MAX_REPLY_BYTES = 64 * 1024 * 1024;

/** Where the management API is: its socket, or the address of a gateway. */
export type AdminTarget = { readonly socketPath: string } | { readonly url: URL };

/** Calls the management API of a running gateway with the master key. */
export class AdminClient {
  readonly #target: AdminTarget;
  readonly #masterKey: string;

  constructor(target: AdminTarget, masterKey: string) {
    this.#target = target;
    this.#masterKey = masterKey;
  }

  /** @param body absent: a GET. @throws {StartError} with what the gateway said. */
  async call(path: string, body?: object): Promise<unknown> {
    const { status, text } = await this.#send(path, body === undefined ? null : JSON.stringify(body));
    const reply = parse(text);
    if (status === 200) return reply;
    throw new StartError(messageOf(reply) ?? `the gateway answered ${status}`);
  }

  #send(path: string, body: string | null): Promise<{ status: number; text: string }> {
    const target = this.#target;
    const isSecure = 'url' in target && target.url.protocol === 'https:';
    const options: RequestOptions = {
      ...('url' in target
        ? {
            host: target.url.hostname.replaceAll(/[[\]]/g, ''),
            port: target.url.port,
            path: `${basePath(target.url)}${path}`,
          }
        : { socketPath: target.socketPath, path }),
      method: body === null ? 'GET' : 'POST',
      headers: {
        authorization: `Bearer ${this.#masterKey}`,
        ...(body === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
      timeout: TIMEOUT_MS,
      agent: false,
    };
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
    const outgoing = (isSecure ? requestHttps : requestHttp)(options, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MAX_REPLY_BYTES) answer.destroy(new Error('the answer is too long'));
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      answer.on('error', reject);
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer in ${TIMEOUT_MS / 1000} s`)));
    outgoing.on('error', (error) => reject(new StartError(`no gateway at ${nameOf(target)}: ${systemReason(error)}`)));
    outgoing.end(body);
    return promise;
  }
}

function basePath(url: URL): string {
  return url.pathname.replace(/\/+$/, '');
}

function nameOf(target: AdminTarget): string {
  return 'url' in target ? target.url.origin : target.socketPath;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function messageOf(reply: unknown): string | null {
  const error = typeof reply === 'object' && reply !== null && 'error' in reply ? reply.error : null;
  const message = typeof error === 'object' && error !== null && 'message' in error ? error.message : null;
  return typeof message === 'string' ? message : null;
}
