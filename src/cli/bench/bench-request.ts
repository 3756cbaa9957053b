import { UPSTREAM_MODEL } from './gateway-config.ts';
import { NONCE_DIGITS } from './load-spec.ts';

export const BODY_KINDS = ['prose', 'tool-json'] as const;
export type BodyKind = (typeof BODY_KINDS)[number];

export interface RequestShape {
  /** Exact size of the body as the mock gets it, with `UPSTREAM_MODEL` in it; or the least that is possible. */
  readonly bodyBytes: number;
  /** Prose, or a coding agent's turn: results of tools, which are JSON inside JSON strings. */
  readonly body: BodyKind;
  readonly stream: boolean;
}

export interface RequestTarget {
  readonly host: string;
  readonly port: number;
  /** Path of the API without `/chat/completions`. */
  readonly basePath: string;
  readonly key: string;
  readonly model: string;
}

export interface BenchRequest {
  /** Head and body in latin1. */
  readonly bytes: string;
  /** Offset of the nonce's digits. */
  readonly nonceAt: number;
}

const NONCE_SLOT = `nonce-${'0'.repeat(NONCE_DIGITS)}`;

const PROSE =
  'The ledger was kept in two hands, one careful, one quick. "Which of them was it?" she asked; nobody answered, and ' +
  'the clerk turned the page: 41 entries, 3 of them struck out.\nOutside it had begun to rain again. Nothing in the ' +
  'room had been moved since Tuesday, so far as anyone could tell, except the lamp (now on the left) and the letters.\n\n';

/** As a tool that lists files and their content would answer. */
const TOOL_ROW = {
  path: 'src/worker/queue.ts',
  line: 118,
  text: '\tif (entry.state === "queued") { log("retry \\"" + entry.id + "\\"\\n"); }',
  tags: ['todo', 'C:\\temp\\x'],
  score: 0.875,
};

/** The bytes of one chat completion request, the same for every arm but for host, key, path and model. */
export function buildRequest(target: RequestTarget, shape: RequestShape): BenchRequest {
  const body = buildBody(target.model, shape);
  const { host, port, basePath, key } = target;
  const shownHost = host.includes(':') ? `[${host}]` : host;
  const head =
    `POST ${basePath}/chat/completions HTTP/1.1\r\nhost: ${shownHost}:${port}\r\n` +
    `accept: ${shape.stream ? 'text/event-stream' : 'application/json'}\r\ncontent-type: application/json\r\n` +
    `user-agent: slipstream-bench/1\r\nauthorization: Bearer ${key}\r\ncontent-length: ${body.length}\r\n\r\n`;
  const bytes = head + body;
  return { bytes, nonceAt: bytes.indexOf(NONCE_SLOT, head.length) + NONCE_SLOT.length - NONCE_DIGITS };
}

/** All arms send the same text, so that the mock gets the same bytes whichever way they come. */
function buildBody(model: string, shape: RequestShape): string {
  const make = shape.body === 'prose' ? proseBody : toolBody;
  const least = bodyWith(UPSTREAM_MODEL, shape, make('')).length;
  let text = fill(shape, shape.bodyBytes - least);
  let body = bodyWith(UPSTREAM_MODEL, shape, make(text));
  // Escapes make the body longer than its text: cut from the end until it fits, then pad to the exact size.
  while (body.length > shape.bodyBytes && text.length > 0) {
    text = text.slice(0, -Math.max(1, Math.ceil((body.length - shape.bodyBytes) / 4)));
    body = bodyWith(UPSTREAM_MODEL, shape, make(text));
  }
  return bodyWith(model, shape, make(text + ' '.repeat(Math.max(0, shape.bodyBytes - body.length))));
}

function fill(shape: RequestShape, bytes: number): string {
  const unit = shape.body === 'prose' ? PROSE : `${JSON.stringify(TOOL_ROW)},`;
  return unit.repeat(Math.ceil(Math.max(0, bytes) / unit.length)).slice(0, Math.max(0, bytes));
}

function bodyWith(model: string, shape: RequestShape, rest: object): string {
  return JSON.stringify({ model, user: NONCE_SLOT, ...rest, ...(shape.stream ? { stream: true } : {}) });
}

function proseBody(text: string): object {
  return {
    messages: [
      { role: 'system', content: 'Answer in one paragraph.' },
      { role: 'user', content: text },
    ],
    temperature: 0.2,
  };
}

function toolBody(text: string): object {
  const call = { id: 'call_1', type: 'function', function: { name: 'search', arguments: '{"query":"queued"}' } };
  return {
    messages: [
      { role: 'user', content: 'Where are entries retried?' },
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_1', content: text },
    ],
    tools: [
      {
        type: 'function',
        function: { name: 'search', parameters: { type: 'object', properties: { query: { type: 'string' } } } },
      },
    ],
  };
}
