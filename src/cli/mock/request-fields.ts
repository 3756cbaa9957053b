import { NONCE } from './reply-template.ts';
import { sampleOfSchema } from './schema-sample.ts';

/** A request body as far as a reply depends on it. */
export interface RequestFields {
  readonly json: Readonly<Record<string, unknown>>;
  /** What was asked for, suffix included: the reply's model. */
  readonly model: string;
  readonly stream: boolean;
  /** About four bytes to a token. */
  readonly promptTokens: number;
  readonly tool: ToolCall | null;
}

export interface ToolCall {
  readonly name: string;
  /** JSON that fits the tool's schema as far as `sampleOfSchema` knows schemas. */
  readonly input: unknown;
}

type Json = Readonly<Record<string, unknown>>;

/** @returns null when the body is not one JSON object. */
export function readRequestFields(body: Buffer): RequestFields | null {
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
  if (!isObject(json)) return null;
  return {
    json,
    model: typeof json.model === 'string' ? json.model : '',
    stream: json.stream === true,
    promptTokens: Math.max(1, Math.ceil(body.length / 4)),
    tool: toolToCall(json),
  };
}

/**
 * The tool that the reply calls: the one that `tool_choice` names, else the first; none when the conversation already
 * ends in a tool's result, so that a client's tool loop ends.
 */
function toolToCall(json: Json): ToolCall | null {
  const tools = Array.isArray(json.tools) ? json.tools.map(readTool).filter((tool) => tool !== null) : [];
  if (tools.length === 0 || endsInToolResult(json)) return null;
  const choice = json.tool_choice;
  if (choice === 'none' || (isObject(choice) && choice.type === 'none')) return null;
  const wanted = isObject(choice) ? (isObject(choice.function) ? choice.function.name : choice.name) : undefined;
  return tools.find((tool) => tool.name === wanted) ?? tools[0] ?? null;
}

/** OpenAI chat nests `function`; Responses and Anthropic do not, and the latter says `input_schema`. */
function readTool(tool: unknown): ToolCall | null {
  if (!isObject(tool)) return null;
  const inner = isObject(tool.function) ? tool.function : tool;
  if (typeof inner.name !== 'string') return null;
  return { name: inner.name, input: sampleOfSchema(inner.parameters ?? inner.input_schema) };
}

function endsInToolResult(json: Json): boolean {
  const list = Array.isArray(json.messages) ? json.messages : Array.isArray(json.input) ? json.input : [];
  const last: unknown = list.at(-1);
  if (!isObject(last)) return false;
  if (last.role === 'tool' || last.type === 'function_call_output') return true;
  return Array.isArray(last.content) && last.content.some((part) => isObject(part) && part.type === 'tool_result');
}

/** The JSON that `response_format` or `text.format` asks for; null when prose will do. */
export function structuredAnswer(json: Json): unknown {
  const text = isObject(json.text) ? json.text.format : undefined;
  const format = isObject(json.response_format) ? json.response_format : text;
  if (!isObject(format)) return null;
  if (format.type === 'json_object') return { nonce: NONCE };
  if (format.type !== 'json_schema') return null;
  const named = isObject(format.json_schema) ? format.json_schema : format;
  return sampleOfSchema(named.schema);
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
