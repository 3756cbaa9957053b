import type { Bytes } from '../base/bytes.ts';
import type { DeploymentSpec, SidecarSettings } from '../contract/snapshot.ts';
import { ENDPOINTS, ENDPOINT_NAMES, type EndpointName } from '../domain/endpoints.ts';
import { modelSource } from '../domain/request/body-edits.ts';
import { queryNames } from '../domain/request/passed-query.ts';
import { HEADER_NAMES, HeaderId } from '../http1/header-id.ts';
import { DeploymentPrices } from './deployment-prices.ts';
import { eventTexts, type EventTexts } from './exchange/event-texts.ts';

/** What a request to a deployment, and its answer, take from the configuration: texts, tables, prices, all ready for use. */
export interface DeploymentDetails {
  /** JSON source of `spec.upstreamModel`. */
  readonly modelSource: Bytes;
  /** Per endpoint: request line, host, the deployment's own headers; the client's and content-length follow. */
  readonly heads: Readonly<Record<EndpointName, string>>;
  /** Lower-case names in its own query, which win over the client's. */
  readonly ownQueryNames: ReadonlySet<string>;
  /** Host and own headers alone, for requests whose path is only known at run time. */
  readonly headerBlock: string;
  /** By `HeaderId`: does a client header of this kind go to this deployment (`ForwardRule`). */
  readonly forwards: Uint8Array;
  /** Lower-case names that never come from the client: what the deployment sets, and the one that carries keys. */
  readonly ownNames: ReadonlySet<string>;
  /** Headers sent unless the client sends them: name and whole line. */
  readonly defaultLines: readonly (readonly [name: string, line: string])[];
  /** Own header lines for the answer: model id under both names. */
  readonly answerHeaders: string;
  /** The same and how many attempts there were, where the first one was enough. */
  readonly firstAnswerHeaders: string;
  readonly eventTexts: EventTexts;
  /** null: nothing is known of its prices. */
  readonly prices: DeploymentPrices | null;
}

/** Client headers that go to every provider (decisions.md, "What crosses, in bytes"). */
const FORWARDED_HEADERS: readonly number[] = [
  HeaderId.ContentType,
  HeaderId.Accept,
  HeaderId.UserAgent,
  HeaderId.AnthropicVersion,
  HeaderId.AnthropicBeta,
  HeaderId.OpenaiBeta,
  HeaderId.IdempotencyKey,
  HeaderId.XStainless,
  HeaderId.Traceparent,
  HeaderId.Tracestate,
];

/** What `forward_client_headers_to_llm_api` adds: the client's `x-` headers, but none that carries a key or is ours. */
const X_HEADERS: readonly number[] = [
  ...HEADER_NAMES.flatMap((name, id) => (name.startsWith('x-') ? [id] : [])),
  HeaderId.XRatelimit,
  HeaderId.XOther,
].filter((id) => id !== HeaderId.XApiKey && id !== HeaderId.XGoogApiKey && id !== HeaderId.XLitellmApiKey);

/** Many names under one id. */
const FAMILIES: readonly number[] = [HeaderId.XStainless, HeaderId.XRatelimit, HeaderId.XOther];

export const ForwardRule = {
  Drop: 0,
  Pass: 1,
  /** Pass unless its name is in `ownNames`. */
  Look: 2,
} as const;

export function compileDetails(spec: DeploymentSpec, settings: SidecarSettings): DeploymentDetails {
  const headerBlock = compileHeaderBlock(spec);
  const heads = {} as Record<EndpointName, string>;
  for (const name of ENDPOINT_NAMES) {
    heads[name] = requestLine(spec, 'POST', ENDPOINTS[name].upstreamPath) + headerBlock;
  }
  const answerHeaders =
    `x-slipstream-model-id: ${headerText(spec.id)}\r\nx-litellm-model-id: ${headerText(spec.id)}\r\n` +
    `x-litellm-model-group: ${headerText(spec.groupName)}\r\n`;
  const ownNames = new Set(spec.headers.map(([name]) => name));
  if (settings.keyHeaderName !== null) ownNames.add(settings.keyHeaderName);
  return Object.freeze({
    modelSource: modelSource(spec.upstreamModel),
    heads: Object.freeze(heads),
    ownQueryNames: queryNames(spec.query),
    headerBlock,
    forwards: compileForwards(ownNames, settings),
    ownNames,
    defaultLines: spec.defaultHeaders.map(([name, value]) => [name, `${name}: ${value}\r\n`] as const),
    answerHeaders,
    firstAnswerHeaders: answerHeaders + attemptCountLines(1, 0, 0),
    eventTexts: eventTexts(spec),
    prices: spec.price === null && spec.modelPrices === null ? null : new DeploymentPrices(spec),
  });
}

/** How often the answer was tried for, as header lines. */
export function attemptCountLines(attempts: number, retries: number, fallbacks: number): string {
  return (
    `x-slipstream-attempts: ${attempts}\r\nx-litellm-attempted-retries: ${retries}\r\n` +
    `x-litellm-attempted-fallbacks: ${fallbacks}\r\n`
  );
}

/** Names come from people: what no header can carry is percent-encoded. */
function headerText(name: string): string {
  return encodeURI(name.toWellFormed());
}

/** Request line to `spec` for `path` (starting with a slash), its base path and query added. */
export function requestLine(spec: DeploymentSpec, method: string, path: string): string {
  // Anthropic's endpoints carry /v1 themselves; a base that already ends in it must not double it.
  const base = path.startsWith('/v1/') && spec.basePath.endsWith('/v1') ? spec.basePath.slice(0, -3) : spec.basePath;
  let target = base + path;
  if (spec.query !== '') target += (path.includes('?') ? '&' : '?') + spec.query;
  return `${method} ${target} HTTP/1.1\r\n`;
}

function compileHeaderBlock(spec: DeploymentSpec): string {
  const { host, port, scheme } = spec.origin;
  const name = host.includes(':') ? `[${host}]` : host;
  const isDefaultPort = port === (scheme === 'https' ? 443 : 80);
  let block = `host: ${isDefaultPort ? name : `${name}:${port}`}\r\naccept-encoding: identity\r\n`;
  for (const [header, value] of spec.headers) block += `${header}: ${value}\r\n`;
  return block;
}

function compileForwards(ownNames: ReadonlySet<string>, settings: SidecarSettings): Uint8Array {
  const forwards = new Uint8Array(256);
  const ids = settings.forwardClientHeaders ? [...FORWARDED_HEADERS, ...X_HEADERS] : FORWARDED_HEADERS;
  for (const id of ids) forwards[id] = ForwardRule.Pass;
  for (const name of ownNames) {
    const id = HEADER_NAMES.indexOf(name);
    if (id !== -1) forwards[id] = ForwardRule.Drop;
    else for (const family of FAMILIES) if (forwards[family] === ForwardRule.Pass) forwards[family] = ForwardRule.Look;
  }
  return forwards;
}
