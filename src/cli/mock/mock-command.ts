import { integerFlag, parseCommand, renderHelp, usageError, UsageError, type CommandSpec } from '../command-line.ts';
import {
  DEFAULT_MOCK_OPTIONS,
  MOCK_FAULTS,
  MockSettingError,
  overrideSettings,
  type MockOptions,
} from './mock-options.ts';
import { makeCertificate } from './certificate-maker.ts';
import { startMock } from './mock-server.ts';

const DEFAULT_PORT = 8081;

/** Flags that are settings of a reply; their names are those of the `x-mock-*` headers. */
const SETTING_FLAGS = [
  'ttft-ms',
  'tokens',
  'token-interval-ms',
  'status',
  'fail-rate',
  'reply-bytes',
  'retry-after',
  'error',
] as const;

export const MOCK_COMMAND: CommandSpec = {
  name: 'mock',
  summary: "Run a mock provider: OpenAI's and Anthropic's endpoints, JSON, event streams and WebSocket, on one port",
  operands: '',
  maxOperands: 0,
  flags: {
    host: { value: 'HOST', help: 'Address to listen on', byDefault: DEFAULT_MOCK_OPTIONS.host },
    port: { value: 'PORT', help: 'Port; 0 is any free one', byDefault: String(DEFAULT_PORT) },
    'ttft-ms': { value: 'MS', help: 'Wait before the first byte of a reply', byDefault: '0' },
    tokens: {
      value: 'N',
      help: 'Completion tokens; in streams one event each',
      byDefault: String(DEFAULT_MOCK_OPTIONS.tokens),
    },
    'token-interval-ms': { value: 'MS', help: 'Wait between the events of a stream; 0 is none', byDefault: '0' },
    status: { value: 'CODE', help: 'Status of every reply; from 400 on with an error body', byDefault: '200' },
    'fail-rate': { value: 'SHARE', help: 'Share of requests answered with 500, from 0 to 1', byDefault: '0' },
    'reply-bytes': {
      value: 'N',
      help: "Exact size of a JSON reply's body, or of the text of a stream; 0 is as the tokens make it",
      byDefault: '0',
    },
    'retry-after': { value: 'SECONDS', help: 'retry-after on errors; 0 is none', byDefault: '0' },
    error: { value: 'FAULT', help: `Show a fault: ${MOCK_FAULTS.join(', ')}` },
    echo: { help: "Send the request's line and headers back as x-echo-* headers" },
    tls: { help: 'Serve HTTPS, with a certificate for localhost that is made at start and that nobody vouches for' },
    log: { value: 'FILE', help: 'Append one JSON line for each request' },
  },
  notes: [
    'One request can differ, by its headers x-mock-status, x-mock-ttft-ms, x-mock-tokens, x-mock-token-interval-ms, ' +
      'x-mock-reply-bytes, x-mock-fail-rate, x-mock-retry-after, x-mock-error, x-mock-echo, or by its model: ' +
      '"any-name?status=500&ttft=20" (status, ttft, tokens, interval, bytes, fail, retry_after, error, echo).',
    'The header x-nonce, else the first string in the body that begins with "nonce-", comes back in the header ' +
      "x-nonce, in the reply's id and in its text. Each event of a stream has the monotonic clock in nanoseconds as t.",
  ],
};

/** `slipstream mock`: runs until it is told to stop. A wrong flag is one line and exit status 2. */
export async function mockCommand(argv: string[]): Promise<void> {
  let options: Partial<MockOptions> | null;
  try {
    options = readArguments(argv);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
    return;
  }
  if (options === null) {
    process.stdout.write(renderHelp(MOCK_COMMAND));
    return;
  }
  try {
    const mock = await startMock(options);
    process.stdout.write(`slipstream mock: listening on ${mock.url}\n`);
    stopOnSignal(() => mock.close());
  } catch (error) {
    process.stderr.write(`slipstream mock: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

/** @returns null when help is wanted. @throws {UsageError} */
function readArguments(argv: readonly string[]): Partial<MockOptions> | null {
  const { values, wantsHelp } = parseCommand(MOCK_COMMAND, argv);
  if (wantsHelp) return null;
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === 'string' ? value : undefined;
  };
  const overrides = SETTING_FLAGS.flatMap((name) => {
    const value = text(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const port = text('port');
  try {
    return {
      ...overrideSettings(DEFAULT_MOCK_OPTIONS, overrides),
      echo: values['echo'] === true,
      tls: values['tls'] === true ? ownCertificate() : null,
      host: text('host') ?? DEFAULT_MOCK_OPTIONS.host,
      port: port === undefined ? DEFAULT_PORT : integerFlag(MOCK_COMMAND, { name: '--port', text: port }, 0, 65_535),
      log: text('log') ?? '',
    };
  } catch (error) {
    if (error instanceof MockSettingError) throw usageError(MOCK_COMMAND, `--${error.message}`);
    throw error;
  }
}

function ownCertificate(): MockOptions['tls'] {
  const { certPem, keyPem } = makeCertificate({ name: 'localhost', altNames: ['localhost', '127.0.0.1'] });
  return { cert: certPem, key: keyPem };
}

/** A parent that started this with a channel and goes away counts as a signal. */
function stopOnSignal(close: () => Promise<void>): void {
  const stop = (): void => {
    void close().then(() => process.exit(0));
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  if (process.connected) process.once('disconnect', stop);
}
