import { writeSync } from 'node:fs';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ['json', 'pretty'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Never give it a body, a key (a hash prefix at most) or a query string. */
export type LogFields = Readonly<Record<string, unknown>>;

/** One line per start, stop and problem; nothing per request. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same logger with `fields` in every record. */
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  /** Records below it cost one comparison. */
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Takes one whole line, `\n` included. Default: standard error, synchronously. */
  readonly write?: (line: string) => void;
  /** Which process or part is speaking. */
  readonly name: string;
}

export function createLogger(options: LoggerOptions): Logger {
  const format = options.format === 'json' ? formatJson : formatPretty;
  return new LineLogger(LOG_LEVELS.indexOf(options.level), format, options.write ?? writeToStderr, {
    name: options.name,
  });
}

interface LogRecord {
  readonly time: string;
  readonly level: LogLevel;
  readonly message: string;
  readonly bound: LogFields;
  readonly fields: LogFields | undefined;
}

class LineLogger implements Logger {
  readonly #minimum: number;
  readonly #format: (record: LogRecord) => string;
  readonly #write: (line: string) => void;
  readonly #bound: LogFields;

  constructor(minimum: number, format: (record: LogRecord) => string, write: (line: string) => void, bound: LogFields) {
    this.#minimum = minimum;
    this.#format = format;
    this.#write = write;
    this.#bound = bound;
  }

  debug(message: string, fields?: LogFields): void {
    this.#log('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#log('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#log('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#log('error', message, fields);
  }

  child(fields: LogFields): Logger {
    return new LineLogger(this.#minimum, this.#format, this.#write, { ...this.#bound, ...fields });
  }

  #log(level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (LOG_LEVELS.indexOf(level) < this.#minimum) return;
    const record = { time: new Date().toISOString(), level, message, bound: this.#bound, fields };
    this.#write(`${this.#format(record)}\n`);
  }
}

function formatJson(record: LogRecord): string {
  const line: Record<string, unknown> = { time: record.time, level: record.level, ...record.bound };
  line['message'] = record.message;
  // A field can't take the place of what the line itself says: `time` becomes `field_time`.
  for (const [name, value] of Object.entries(record.fields ?? {})) {
    line[Object.hasOwn(line, name) ? `field_${name}` : name] = value;
  }
  return stringify(line);
}

const COLOURS: Readonly<Record<LogLevel, string>> = { debug: '2', info: '36', warn: '33', error: '31' };

function formatPretty(record: LogRecord): string {
  const clock = record.time.slice(11, 23);
  const level = `\u001b[${COLOURS[record.level]}m${record.level.padEnd(5)}\u001b[0m`;
  const { name, ...bound } = record.bound;
  let line = `${clock} ${level} ${printable(String(name))}: ${printable(record.message)}`;
  for (const [key, value] of Object.entries({ ...bound, ...record.fields })) {
    line += ` \u001b[2m${printable(key)}=\u001b[0m${prettyValue(value)}`;
  }
  return line;
}

function prettyValue(value: unknown): string {
  if (value instanceof Error) return printable(value.stack ?? String(value), true);
  if (typeof value === 'string') return /^[\w./:@-]+$/.test(value) ? value : printable(JSON.stringify(value));
  return printable(stringify(value));
}

/** Control characters in what came from outside must not drive the terminal or forge a line. */
function printable(text: string, keepsNewlines = false): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => {
    if (character === '\n') return keepsNewlines ? '\n' : '\\n';
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

function stringify(value: unknown): string {
  try {
    return JSON.stringify(value, replaceUnserializable) ?? 'undefined';
  } catch (error) {
    // A cycle, or a getter that throws: the record must still appear.
    return JSON.stringify({ message: 'a log record could not be serialised', reason: String(error) });
  }
}

function replaceUnserializable(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Error) return describeError(value);
  return value;
}

function describeError(error: Error): Record<string, unknown> {
  const described: Record<string, unknown> = { name: error.name, message: error.message };
  if ('code' in error) described['code'] = error.code;
  described['stack'] = error.stack;
  if (error.cause !== undefined) described['cause'] = error.cause;
  return described;
}

/** How long a full pipe is waited for, once a second at most: a log reader that stalls must not stall the gateway. */
const FULL_PIPE_PATIENCE_MS = 20;
const FULL_PIPE_PAUSE_MS = 1000;
const waitCell = new Int32Array(new SharedArrayBuffer(4));
let impatientUntilMs = 0;

/**
 * Works from every thread alike, and a record is out before the next statement runs, so the last words before a crash
 * are seen. A reader that doesn't keep up (EAGAIN) or has gone (EPIPE) costs records, never the process.
 */
export function writeToStderr(line: string): void {
  const bytes = Buffer.from(line);
  let written = 0;
  let waitedMs = performance.now() < impatientUntilMs ? FULL_PIPE_PATIENCE_MS : 0;
  while (written < bytes.length) {
    try {
      written += writeSync(2, bytes, written);
    } catch (error) {
      const isFull = error instanceof Error && 'code' in error && error.code === 'EAGAIN';
      if (!isFull || waitedMs >= FULL_PIPE_PATIENCE_MS) {
        if (isFull) impatientUntilMs = performance.now() + FULL_PIPE_PAUSE_MS;
        return;
      }
      Atomics.wait(waitCell, 0, 0, 1);
      waitedMs++;
    }
  }
}
