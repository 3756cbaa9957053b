import {
  choiceFlag,
  integerFlag,
  parseCommand,
  usageError,
  type CommandSpec,
  type FlagSpec,
  type ParsedCommand,
} from '../command-line.ts';
import type { LoadShape } from './arm.ts';
import { BODY_KINDS } from './bench-request.ts';

const COMMON_FLAGS = {
  qps: { value: 'N', help: 'Requests per second, from a fixed schedule; 0 is as fast as it goes', byDefault: '1000' },
  connections: { value: 'N', help: 'Connections', byDefault: '16; 32 with --qps 0; by need with --stream' },
  stream: { help: 'Event streams: added time to the first frame, and added latency of frames' },
  tokens: { value: 'N', help: "Tokens of the mock's reply; in streams one frame each", byDefault: '16' },
  'token-interval-ms': { value: 'MS', help: "Wait between the frames of the mock's streams", byDefault: '10' },
  'ttft-ms': { value: 'MS', help: 'Wait of the mock before its reply', byDefault: '0' },
  'reply-bytes': { value: 'N', help: "Size of the mock's JSON replies", byDefault: '600' },
  'body-bytes': { value: 'N', help: 'Size of the request body', byDefault: '300' },
  body: { value: 'KIND', help: `What the request body holds: ${BODY_KINDS.join(' or ')}`, byDefault: 'prose' },
  keys: { value: 'N', help: "Virtual keys in the gateway's configuration; one of them is used", byDefault: '10000' },
  threads: { value: 'N', help: "The gateway's slipstream.threads", byDefault: 'its own' },
  tls: { help: 'The mock speaks HTTPS (its certificate is not verified by anyone), so every proxy does TLS upstream' },
  'no-sidecar': { help: 'The gateway runs as one process' },
  'cpus-gateway': { value: 'LIST', help: 'CPUs for the gateway and for HAProxy, as taskset takes them' },
  'cpus-load': { value: 'LIST', help: 'CPUs for the mock and the load generator' },
  json: { value: 'FILE', help: 'Write all raw figures with a description of the machine' },
} as const satisfies Record<string, FlagSpec>;

export const BENCH_OVERHEAD: CommandSpec = {
  name: 'bench overhead',
  summary: 'Measure what the gateway adds: mock, gateway and load generator on this machine, direct against through',
  operands: '',
  maxOperands: 0,
  flags: {
    ...COMMON_FLAGS,
    seconds: { value: 'N', help: 'Length of one round of one arm', byDefault: '3' },
    rounds: { value: 'N', help: 'Rounds; the order of the arms is shuffled in each', byDefault: '20' },
    against: { value: 'PROXY', help: 'Measure haproxy too, and a second one as the control' },
    'without-gateway': { help: 'Leave the gateway out: how exact is this measurement here?' },
    target: { value: 'URL', help: 'Measure an installation of your own at this base URL (…/v1), and nothing else' },
    key: { value: 'KEY', help: 'Its API key', env: ['SLIPSTREAM_BENCH_KEY'] },
    model: { value: 'NAME', help: 'Its model' },
    yes: { help: 'The target is not this machine, and may be loaded' },
  },
  notes: [
    'With a rate, latencies are compared; with --qps 0, CPU per request. Latencies count from the instant that a ' +
      'request was scheduled for. Status, length and nonce of every reply are checked. The exit status is 1 when ' +
      'requests failed, when the rate was not held or when the control differs from what it controls.',
  ],
};

export const BENCH_HOLD: CommandSpec = {
  name: 'bench hold',
  summary: 'Hold a rate through the gateway for a time and count failures',
  operands: '',
  maxOperands: 0,
  flags: { ...COMMON_FLAGS, seconds: { value: 'N', help: 'How long', byDefault: '30' } },
  notes: ['The exit status is 1 when a request failed or the rate was not held.'],
};

export const BENCH_STARTUP: CommandSpec = {
  name: 'bench startup',
  summary: 'Measure the time from spawning the launcher to the first good reply through the mock',
  operands: '',
  maxOperands: 0,
  flags: {
    rounds: { value: 'N', help: 'Starts with a warm compile cache, after the cold one', byDefault: '10' },
    'no-sidecar': COMMON_FLAGS['no-sidecar'],
    json: COMMON_FLAGS.json,
  },
  notes: [],
};

/** Options that both `overhead` and `hold` have. */
export interface CommonOptions {
  readonly shape: LoadShape;
  readonly mockFlags: readonly string[];
  /** The mock speaks TLS. */
  readonly isTls: boolean;
  /** Virtual keys in the gateway's configuration. */
  readonly keyCount: number;
  readonly threads: number | null;
  readonly withSidecar: boolean;
  readonly cpusGateway: string | null;
  readonly cpusLoad: string | null;
  readonly jsonFile: string | null;
}

export interface OverheadOptions extends CommonOptions {
  readonly rounds: number;
  readonly withHaproxy: boolean;
  readonly withGateway: boolean;
  readonly target: { readonly url: URL; readonly key: string; readonly model: string } | null;
}

export interface StartupOptions {
  readonly rounds: number;
  readonly withSidecar: boolean;
  readonly jsonFile: string | null;
}

const WARM_UP_SECONDS = 0.3;
const REPLY_TIMEOUT_MS = 10_000;
const DEFAULT_STREAM_QPS = 100;

/** @returns null when help is wanted. @throws {UsageError} */
export function parseOverhead(argv: readonly string[]): OverheadOptions | null {
  const parsed = parseCommand(BENCH_OVERHEAD, argv);
  if (parsed.wantsHelp) return null;
  const against = textOf(parsed, 'against');
  if (against !== null) choiceFlag(BENCH_OVERHEAD, { name: '--against', text: against }, ['haproxy']);
  const target = readTarget(parsed);
  if (target !== null && against !== null) {
    throw usageError(BENCH_OVERHEAD, '--target measures one installation; --against has no place there');
  }
  return {
    ...readCommon(BENCH_OVERHEAD, parsed, 3),
    rounds: numberOf(BENCH_OVERHEAD, parsed, 'rounds', { byDefault: 20, least: 1, most: 1000 }),
    withHaproxy: against !== null,
    withGateway: target === null && parsed.values['without-gateway'] !== true,
    target,
  };
}

/** @returns null when help is wanted. @throws {UsageError} */
export function parseHold(argv: readonly string[]): CommonOptions | null {
  const parsed = parseCommand(BENCH_HOLD, argv);
  return parsed.wantsHelp ? null : readCommon(BENCH_HOLD, parsed, 30);
}

/** @returns null when help is wanted. @throws {UsageError} */
export function parseStartup(argv: readonly string[]): StartupOptions | null {
  const parsed = parseCommand(BENCH_STARTUP, argv);
  if (parsed.wantsHelp) return null;
  return {
    rounds: numberOf(BENCH_STARTUP, parsed, 'rounds', { byDefault: 10, least: 1, most: 1000 }),
    withSidecar: parsed.values['no-sidecar'] !== true,
    jsonFile: textOf(parsed, 'json'),
  };
}

function readCommon(command: CommandSpec, parsed: ParsedCommand, defaultSeconds: number): CommonOptions {
  const number = (name: string, byDefault: number, least: number, most: number): number =>
    numberOf(command, parsed, name, { byDefault, least, most });
  const stream = parsed.values['stream'] === true;
  const qps = number('qps', stream ? DEFAULT_STREAM_QPS : 1000, 0, 1_000_000);
  const tokens = number('tokens', 16, 1, 100_000);
  const intervalMs = number('token-interval-ms', stream ? 10 : 0, 0, 60_000);
  const ttftMs = number('ttft-ms', 0, 0, 60_000);
  // Little's law, and half as much again: a free connection must not be what is measured.
  const openAtOnce = Math.ceil(((qps * (ttftMs + (stream ? tokens * (intervalMs + 1) : 0))) / 1000) * 1.5);
  const connections = number('connections', (qps === 0 ? 32 : 16) + openAtOnce, 1, 20_000);
  const bodyKind = choiceFlag(command, { name: '--body', text: textOf(parsed, 'body') ?? 'prose' }, BODY_KINDS);
  const shape: LoadShape = {
    bodyBytes: number('body-bytes', 300, 0, 64 * 1024 * 1024),
    body: bodyKind,
    stream,
    connections,
    qps,
    seconds: number('seconds', defaultSeconds, 1, 86_400),
    warmUpSeconds: WARM_UP_SECONDS,
    timeoutMs: REPLY_TIMEOUT_MS + ttftMs + tokens * intervalMs,
  };
  const threads = textOf(parsed, 'threads');
  const isTls = parsed.values['tls'] === true;
  return {
    shape,
    isTls,
    keyCount: number('keys', 10_000, 1, 1_000_000),
    mockFlags: [
      ...(isTls ? ['--tls'] : []),
      '--tokens',
      String(tokens),
      '--token-interval-ms',
      String(intervalMs),
      '--ttft-ms',
      String(ttftMs),
      ...(stream ? [] : ['--reply-bytes', String(number('reply-bytes', 600, 0, 64 * 1024 * 1024))]),
    ],
    threads: threads === null ? null : integerFlag(command, { name: '--threads', text: threads }, 1, 256),
    withSidecar: parsed.values['no-sidecar'] !== true,
    cpusGateway: cpuList(command, parsed, 'cpus-gateway'),
    cpusLoad: cpuList(command, parsed, 'cpus-load'),
    jsonFile: textOf(parsed, 'json'),
  };
}

function readTarget(parsed: ParsedCommand): OverheadOptions['target'] {
  const text = textOf(parsed, 'target');
  if (text === null) return null;
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw usageError(BENCH_OVERHEAD, '--target must be an http:// or https:// URL');
  }
  const isLoopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  if (!isLoopback && parsed.values['yes'] !== true) {
    throw usageError(BENCH_OVERHEAD, `${url.host} is not this machine: add --yes if you may put load on it`);
  }
  const model = textOf(parsed, 'model');
  if (model === null) throw usageError(BENCH_OVERHEAD, '--target needs --model');
  return { url, key: textOf(parsed, 'key') ?? process.env['SLIPSTREAM_BENCH_KEY'] ?? '', model };
}

function cpuList(command: CommandSpec, parsed: ParsedCommand, name: string): string | null {
  const text = textOf(parsed, name);
  if (text === null || /^\d+([,-]\d+)*$/.test(text)) return text;
  throw usageError(command, `--${name} must be a list of CPUs such as 0 or 0-1,3`);
}

function numberOf(
  command: CommandSpec,
  parsed: ParsedCommand,
  name: string,
  bounds: { readonly byDefault: number; readonly least: number; readonly most: number },
): number {
  const text = textOf(parsed, name);
  return text === null
    ? bounds.byDefault
    : integerFlag(command, { name: `--${name}`, text }, bounds.least, bounds.most);
}

function textOf(parsed: ParsedCommand, name: string): string | null {
  const value = parsed.values[name];
  return typeof value === 'string' ? value : null;
}
