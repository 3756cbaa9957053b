import { parseArgs } from 'node:util';
import {
  DEFAULT_MOCK_OPTIONS,
  MOCK_FAULTS,
  MockSettingError,
  overrideSettings,
  type MockOptions,
} from './mock-options.ts';
import { startMock } from './mock-server.ts';

const HELP = `Usage: slipstream mock [options]

A mock provider: OpenAI's chat/completions, completions, embeddings, responses, moderations, images/generations,
audio/speech, rerank, models and realtime (WebSocket echo), and Anthropic's messages and messages/count_tokens, as JSON
and as event streams, on one port.

  --host HOST               address to listen on (default 127.0.0.1)
  --port PORT               port; 0 = any free one (default 8081)
  --ttft-ms MS              wait before the reply's body (default 0)
  --tokens N                completion tokens; in streams one event each (default ${DEFAULT_MOCK_OPTIONS.tokens})
  --token-interval-ms MS    wait between the events of a stream (default 0)
  --status CODE             answer with this status; from 400 on with an error (default 200)
  --fail-rate SHARE         share of requests answered 500, 0 to 1 (default 0)
  --reply-bytes N           exact size of a JSON reply, size of a stream's text; 0 = as the tokens make it (default 0)
  --retry-after SECONDS     retry-after on errors; 0 = absent (default 0)
  --error FAULT             ${MOCK_FAULTS.slice(0, 8).join(', ')},
                            ${MOCK_FAULTS.slice(8).join(', ')}
  --echo                    send the request's headers back as x-echo-*
  --log FILE                append one JSON line for each request
  --help                    this text

One request can differ: by headers (x-mock-status, x-mock-ttft-ms, x-mock-tokens, x-mock-token-interval-ms,
x-mock-reply-bytes, x-mock-fail-rate, x-mock-retry-after, x-mock-error, x-mock-echo) or by its model's name:
"any-name?status=500&ttft=20" (status, ttft, tokens, interval, bytes, fail, retry_after, error, echo).
The header x-nonce, or else the first string in the body that begins with "nonce-", comes back in the header x-nonce, in
the reply's id and in its text. Each event of a stream has the monotonic clock in nanoseconds as "t".
`;

const DEFAULT_PORT = 8081;
/** Flags that are settings of a reply; their names are those of the headers. */
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

/** `slipstream mock`: runs until it is told to stop. A wrong flag is one line and exit status 2. */
export async function mockCommand(argv: string[]): Promise<void> {
  let options: Partial<MockOptions>;
  try {
    const parsed = readArguments(argv);
    if (parsed === 'help') {
      process.stdout.write(HELP);
      return;
    }
    options = parsed;
  } catch (error) {
    process.stderr.write(`slipstream mock: ${firstLine(error)} (see slipstream mock --help)\n`);
    process.exitCode = 2;
    return;
  }
  try {
    const mock = await startMock(options);
    process.stdout.write(`slipstream mock: listening on ${mock.url}\n`);
    stopOnSignal(() => mock.close());
  } catch (error) {
    process.stderr.write(`slipstream mock: ${firstLine(error)}\n`);
    process.exitCode = 1;
  }
}

function readArguments(argv: string[]): Partial<MockOptions> | 'help' {
  const { values } = parseArgs({
    args: argv,
    allowPositionals: false,
    options: {
      host: { type: 'string' },
      port: { type: 'string' },
      echo: { type: 'boolean' },
      log: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
      'ttft-ms': { type: 'string' },
      tokens: { type: 'string' },
      'token-interval-ms': { type: 'string' },
      status: { type: 'string' },
      'fail-rate': { type: 'string' },
      'reply-bytes': { type: 'string' },
      'retry-after': { type: 'string' },
      error: { type: 'string' },
    },
  });
  if (values.help === true) return 'help';
  const overrides = SETTING_FLAGS.flatMap((name) =>
    values[name] === undefined ? [] : [[name, values[name]] as const],
  );
  const settings = overrideSettings(DEFAULT_MOCK_OPTIONS, overrides);
  return {
    ...settings,
    echo: values.echo === true,
    host: values.host ?? DEFAULT_MOCK_OPTIONS.host,
    port: readPort(values.port),
    log: values.log ?? '',
  };
}

function readPort(value: string | undefined): number {
  if (value === undefined) return DEFAULT_PORT;
  const port = value.trim() === '' ? Number.NaN : Number(value);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new MockSettingError('--port must be a whole number from 0 to 65535');
  }
  return port;
}

/** The first signal closes; a parent that started it with a channel and goes away counts as one. */
function stopOnSignal(close: () => Promise<void>): void {
  const stop = (): void => {
    void close().then(() => process.exit(0));
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  if (process.connected) process.once('disconnect', stop);
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
