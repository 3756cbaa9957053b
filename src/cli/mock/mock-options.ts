import type { MockRequest } from './mock-request.ts';

/** Faults that a provider can show on the wire; each is one way in which a real reply goes wrong. */
export const MOCK_FAULTS = [
  'reset', // TCP reset in place of a reply
  'close', // orderly close in place of a reply
  'hang', // the connection stays open, nothing is ever sent
  'garbage', // bytes that are not HTTP, then close
  'head-only', // a complete head, then silence
  'half', // head and half of the body, then silence
  'close-mid', // head and half of the body, then an orderly close
  'reset-mid', // head and half of the body, then a TCP reset
  'bad-length', // content-length smaller than the body: the rest looks like the start of another reply
  'no-length', // correct, but delimited by the end of the connection
  'gzip', // correct, but compressed although nobody asked
  'interim', // correct, after a 103 and a 100
  'error-first', // 200 and an event stream whose first event is an error
  'error-mid', // an event stream with an error event half way, then its end
  'comments', // an event stream that begins with a comment and, for Anthropic, a ping
] as const;
export type MockFault = (typeof MOCK_FAULTS)[number];

/** How one reply is to look. Set for all by options, for one by `x-mock-*` headers or by the model name. */
export interface ReplySettings {
  /** Wait before the first byte of the reply body, ms. */
  readonly ttftMs: number;
  /** Completion tokens; in streams one event each. */
  readonly tokens: number;
  /** Wait between the events of a stream, ms; 0 = all in one write. */
  readonly tokenIntervalMs: number;
  /** From 400 on an error body in the protocol's envelope. */
  readonly status: number;
  /** Share of requests answered 500, 0 to 1. */
  readonly failRate: number;
  /** Size of a JSON reply's body (padded to exactly this), or of the text of a stream; 0 = as the tokens make it. */
  readonly replyBytes: number;
  /** Seconds for `retry-after` on an error; 0 = header absent. */
  readonly retryAfterSeconds: number;
  readonly fault: MockFault | null;
  /** The request's line and headers come back as `x-echo-*`. */
  readonly echo: boolean;
}

export interface MockOptions extends ReplySettings {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  /** File that gets one JSON line for each request; empty = none. */
  readonly log: string;
  /** PEM certificate and key; null = plain TCP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Sees each request when it is complete, before it is answered: for tests in the same process. */
  readonly onRequest: ((request: MockRequest) => void) | null;
  /** Sees how each exchange ended: `sent`, `aborted` when the other side left first, or the name of the fault. */
  readonly onEnd: ((request: MockRequest, outcome: 'sent' | 'aborted' | MockFault) => void) | null;
}

export const DEFAULT_MOCK_OPTIONS: MockOptions = Object.freeze({
  host: '127.0.0.1',
  port: 0,
  ttftMs: 0,
  tokens: 16,
  tokenIntervalMs: 0,
  status: 200,
  failRate: 0,
  replyBytes: 0,
  retryAfterSeconds: 0,
  fault: null,
  echo: false,
  log: '',
  tls: null,
  onRequest: null,
  onEnd: null,
} satisfies MockOptions);

/** Name in the model's suffix (`mock-a?status=500&ttft=20`) → name of the `x-mock-*` header without its prefix. */
const SUFFIX_NAMES: Readonly<Record<string, string>> = {
  ttft: 'ttft-ms',
  interval: 'token-interval-ms',
  bytes: 'reply-bytes',
  fail: 'fail-rate',
  retry_after: 'retry-after',
};

const MAX_TOKENS = 1_000_000;
const MAX_REPLY_BYTES = 256 * 1024 * 1024;
const MAX_WAIT_MS = 3_600_000;

/** @throws {MockSettingError} when a name is unknown or a value is out of range: a typing error must not pass unseen. */
export function overrideSettings(
  base: ReplySettings,
  overrides: Iterable<readonly [name: string, value: string]>,
): ReplySettings {
  const settings: { -readonly [K in keyof ReplySettings]: ReplySettings[K] } = { ...base };
  for (const [suffixName, value] of overrides) {
    const name = SUFFIX_NAMES[suffixName] ?? suffixName;
    switch (name) {
      case 'ttft-ms':
        settings.ttftMs = numberIn(name, value, 0, MAX_WAIT_MS);
        break;
      case 'token-interval-ms':
        settings.tokenIntervalMs = numberIn(name, value, 0, MAX_WAIT_MS);
        break;
      case 'tokens':
        settings.tokens = integerIn(name, value, 0, MAX_TOKENS);
        break;
      case 'status':
        settings.status = integerIn(name, value, 200, 599);
        break;
      case 'fail-rate':
        settings.failRate = numberIn(name, value, 0, 1);
        break;
      case 'reply-bytes':
        settings.replyBytes = integerIn(name, value, 0, MAX_REPLY_BYTES);
        break;
      case 'retry-after':
        settings.retryAfterSeconds = integerIn(name, value, 0, 86_400);
        break;
      case 'error':
        settings.fault = faultNamed(value);
        break;
      case 'echo':
        settings.echo = value !== '0';
        break;
      default:
        throw new MockSettingError(`unknown setting ${JSON.stringify(suffixName)}`);
    }
  }
  return settings;
}

/** Splits `mock-a?status=500&ttft=20`. The reply's model stays the whole of it: what was asked for. */
export function settingsInModel(model: string): Iterable<readonly [string, string]> {
  const at = model.indexOf('?');
  return at < 0 ? [] : new URLSearchParams(model.slice(at + 1));
}

export class MockSettingError extends Error {
  override readonly name = 'MockSettingError';
}

function faultNamed(value: string): MockFault {
  const fault = MOCK_FAULTS.find((name) => name === value);
  if (fault === undefined) throw new MockSettingError(`error must be one of ${MOCK_FAULTS.join(', ')}`);
  return fault;
}

function integerIn(name: string, value: string, least: number, most: number): number {
  const number = numberIn(name, value, least, most);
  if (!Number.isInteger(number)) throw new MockSettingError(`${name} must be a whole number`);
  return number;
}

function numberIn(name: string, value: string, least: number, most: number): number {
  const number = value.trim() === '' ? Number.NaN : Number(value);
  if (!(number >= least && number <= most)) {
    throw new MockSettingError(`${name} must be a number from ${least} to ${most}`);
  }
  return number;
}
