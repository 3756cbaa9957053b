import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTROL_PROTOCOL, type ToControl, type ToSidecar } from '../../src/contract/control-messages.ts';
import { encodeFrame, FrameDecoder } from '../../src/contract/frame-codec.ts';
import { type ControlOptions, runControl, type RunningControl } from '../../src/control/control-main.ts';
import { createLogger } from '../../src/runtime/logger.ts';

/** A wait never decides a test by its length: it only ends one that would hang. */
const PATIENCE_MS = 10_000;

export interface Home {
  readonly directory: string;
  readonly configPath: string;
  readonly options: ControlOptions;
  /** Every line that was logged. */
  readonly log: string[];
  remove(): void;
}

/** A place for a control plane: configuration, data directory, sockets. */
export function makeHome(config: string | null, env: Readonly<Record<string, string>> = {}): Home {
  const directory = mkdtempSync(join(tmpdir(), 'control-'));
  const dataDirectory = join(directory, 'data');
  const configPath = join(directory, 'config.yaml');
  mkdirSync(dataDirectory, { mode: 0o700 });
  if (config !== null) writeFileSync(configPath, config);
  const log: string[] = [];
  const options: ControlOptions = {
    dataDirectory,
    configPath: config === null ? null : configPath,
    demo: config === null ? { mockUrl: 'http://127.0.0.1:9' } : null,
    controlSocketPath: join(dataDirectory, 'control.sock'),
    adminSocketPath: join(dataDirectory, 'admin.sock'),
    env,
    overrides: { threads: null, adminHost: null, adminPort: null },
    logger: createLogger({ level: 'debug', format: 'json', name: 'control', write: (line) => log.push(line) }),
  };
  return { directory, configPath, options, log, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** A control plane that has read the keys of its store, or knows that it can't. */
export async function startControl(home: Home): Promise<RunningControl> {
  const control = await runControl(home.options);
  await until(() => home.log.some((line) => /keys of the store read|store unavailable/.test(line)));
  return control;
}

/** Runs `use` with a control plane, and ends and removes everything after it. */
export async function withControl(home: Home, use: (control: RunningControl) => Promise<void>): Promise<void> {
  try {
    const control = await startControl(home);
    try {
      await use(control);
    } finally {
      await control.stop();
    }
  } finally {
    home.remove();
  }
}

/** The sidecar's end of the control socket. */
export class SidecarEnd {
  readonly received: ToSidecar[] = [];
  readonly socket: Socket;
  isClosed = false;
  readonly #decoder = new FrameDecoder<ToSidecar>();
  #wake: () => void = () => undefined;

  constructor(path: string) {
    this.socket = connect(path);
    this.socket.on('data', (chunk: Uint8Array) => {
      this.received.push(...this.#decoder.push(chunk));
      this.#wake();
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  static hello(path: string): SidecarEnd {
    const end = new SidecarEnd(path);
    end.send({ type: 'hello', protocol: CONTROL_PROTOCOL, role: 'sidecar', pid: 4711, version: '0.0.0-test' });
    return end;
  }

  send(message: ToControl): void {
    this.socket.write(encodeFrame(message));
  }

  /** Takes the first message of `type` out of what has come or comes. */
  async take<T extends ToSidecar['type']>(type: T): Promise<Extract<ToSidecar, { type: T }>> {
    await until(
      () => this.received.some((message) => message.type === type),
      (wake) => (this.#wake = wake),
    );
    const index = this.received.findIndex((message) => message.type === type);
    return this.received.splice(index, 1)[0] as Extract<ToSidecar, { type: T }>;
  }

  async closed(): Promise<void> {
    await until(
      () => this.isClosed,
      (wake) => (this.#wake = wake),
    );
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Waits for `condition`, looking again whenever woken, and every 10 ms. */
export async function until(
  condition: () => boolean,
  onWake: (wake: () => void) => void = () => undefined,
): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!condition()) {
    if (Date.now() > deadline) throw new TypeError('what was waited for never came');
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, 10);
    onWake(resolve);
    await promise;
    clearTimeout(timer);
  }
}

export interface AdminAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

export interface AdminRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export function adminRequest(
  home: Home,
  path: string,
  { method = 'GET', headers = {}, body }: AdminRequest = {},
): Promise<AdminAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<AdminAnswer>();
  const outgoing = request(
    { socketPath: home.options.adminSocketPath, path, method, headers, agent: false },
    (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => {
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          text,
          json: JSON.parse(text) as Record<string, unknown>,
        });
      });
    },
  );
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}
