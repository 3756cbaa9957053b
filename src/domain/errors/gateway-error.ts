import { ERROR_TABLE, type ErrorName, type ErrorSpec } from './error-table.ts';

/** The envelope an error is written in: the client's protocol decides. */
export type ErrorEnvelope = 'openai' | 'anthropic';

/**
 * One refusal or failure, on its way to a client. Not a JavaScript Error: made on the hot path, it needs no stack.
 * `message` is shown to the client, so it never holds a secret.
 */
export interface GatewayError {
  readonly name: ErrorName;
  readonly message: string;
  /** The request field at fault, or null. */
  readonly param: string | null;
  /** Overrides the table's status where a provider's is kept; 0 = the table's. */
  readonly status: number;
  /** Seconds for `retry-after`; 0 = none. */
  readonly retryAfterSeconds: number;
  /** Further header lines of the answer, each with its CRLF; without secrets, as `message`. */
  readonly headerLines: string;
}

export function gatewayError(name: ErrorName, message: string, param: string | null = null): GatewayError {
  return { name, message, param, status: 0, retryAfterSeconds: 0, headerLines: '' };
}

export function errorSpec(error: GatewayError): ErrorSpec {
  return ERROR_TABLE[error.name];
}

export function errorStatus(error: GatewayError): number {
  return error.status === 0 ? ERROR_TABLE[error.name].status : error.status;
}

/** The JSON body of `error`, in the envelope of the client's protocol. `code` is the status as a string, as LiteLLM's. */
export function errorBody(error: GatewayError, envelope: ErrorEnvelope): string {
  const spec = ERROR_TABLE[error.name];
  switch (envelope) {
    case 'openai':
      return JSON.stringify({
        error: {
          message: error.message,
          type: spec.openaiType,
          param: error.param,
          code: String(errorStatus(error)),
        },
      });
    case 'anthropic':
      return JSON.stringify({ type: 'error', error: { type: spec.anthropicType, message: error.message } });
    default:
      return envelope satisfies never;
  }
}

/** An error inside a stream of events, as its protocol has it, ended by its empty line. */
export function errorEvent(error: GatewayError, protocol: ErrorEnvelope | 'openai-responses'): string {
  switch (protocol) {
    case 'openai':
      return `data: ${errorBody(error, 'openai')}\n\n`;
    case 'anthropic':
      return `event: error\ndata: ${errorBody(error, 'anthropic')}\n\n`;
    case 'openai-responses': {
      // Events there have a type. The `error` is what OpenAI's SDKs look for in any stream.
      const code = ERROR_TABLE[error.name].openaiType;
      const head = `{"type":"error","code":${JSON.stringify(code)},"message":${JSON.stringify(error.message)}`;
      const rest = errorBody(error, 'openai').slice(1);
      return `event: error\ndata: ${head},"param":null,"sequence_number":0,${rest}\n\n`;
    }
    default:
      return protocol satisfies never;
  }
}
