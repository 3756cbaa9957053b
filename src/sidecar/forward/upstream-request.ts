import type { Bytes } from '../../base/bytes.ts';
import { modelSource, planBodyEdits, type BodyEdit } from '../../domain/request/body-edits.ts';
import type { EndpointSpec } from '../../domain/endpoints.ts';
import { passedQuery } from '../../domain/request/passed-query.ts';
import { HeaderId } from '../../http1/header-id.ts';
import type { HeaderTable } from '../../http1/header-table.ts';
import type { CompiledDeployment } from '../compiled-snapshot.ts';
import { ForwardRule, requestLine } from '../deployment-details.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { RequestBody } from '../exchange/request-body.ts';
import { bytesOf, type Outgoing } from '../socket/outgoing.ts';
import { connectionOptions } from './connection-options.ts';

/** The request as `deployment` gets it: its head, the client's allowed headers, the body with its edits. */
export function upstreamRequest(exchange: Exchange, deployment: CompiledDeployment, upstreamModel: string): Outgoing {
  const { route } = exchange;
  if (route.kind !== 'llm') return plainRequest(exchange, deployment);
  const { endpoint } = route;
  const edits = planBodyEdits(exchange.scanner, exchange.bodyText, endpoint, {
    model: upstreamModel === exchange.model ? null : sourceOf(upstreamModel, deployment),
    injectUsage: exchange.injectsUsage && deployment.spec.injectsUsage,
  });
  const parts: Bytes[] = [];
  const length = applyEdits(exchange.body, edits, parts);
  let head = requestHead(endpoint, exchange.head.query, deployment) + clientHeaders(exchange.head.headers, deployment);
  if (exchange.head.headers.find(HeaderId.ContentType) === -1) head += 'content-type: application/json\r\n';
  head += `content-length: ${length}\r\n\r\n`;
  return { head, parts, tail: '' };
}

function requestHead(endpoint: EndpointSpec, query: string, deployment: CompiledDeployment): string {
  // Fast case: nearly no request has a query.
  if (query === '') return deployment.heads[endpoint.name];
  const target = withQuery(endpoint.upstreamPath, query, deployment);
  return requestLine(deployment.spec, 'POST', target) + deployment.headerBlock;
}

/** The client's query goes along, where the deployment has no word of its own. */
function withQuery(path: string, query: string, deployment: CompiledDeployment): string {
  const passed = passedQuery(query, deployment.ownQueryNames);
  return passed === '' ? path : `${path}?${passed}`;
}

/** A request without a model in its body (`/responses/{id}` and kin): path and body as they came. */
function plainRequest(exchange: Exchange, deployment: CompiledDeployment): Outgoing {
  const { path, query, method, headers } = exchange.head;
  const rest = path.startsWith('/v1/') ? path.slice(3) : path;
  const target = withQuery(rest, query, deployment);
  let head = requestLine(deployment.spec, method, target) + deployment.headerBlock + clientHeaders(headers, deployment);
  if (exchange.body.length > 0 || method === 'POST') head += `content-length: ${exchange.body.length}\r\n`;
  return { head: `${head}\r\n`, parts: exchange.body.parts, tail: '' };
}

/** A request passed to the control plane, which authenticates it itself: all headers but hop-by-hop ones. */
export function adminRequest(exchange: Exchange): Outgoing {
  const { method, target, headers, path, query } = exchange.head;
  const origin = target.startsWith('/') ? target : query === '' ? path : `${path}?${query}`;
  const dropped = connectionOptions(headers);
  let head = `${method} ${origin} HTTP/1.1\r\n`;
  for (let index = 0; index < headers.count; index += 1) {
    if (isHopByHop(headers.id(index))) continue;
    if (dropped !== null && dropped.has(headers.name(index))) continue;
    head += headers.bytes.latin1Slice(headers.lineStart(index), headers.lineEnd(index));
  }
  if (exchange.body.length > 0 || (method !== 'GET' && method !== 'HEAD')) {
    head += `content-length: ${exchange.body.length}\r\n`;
  }
  return { head: `${head}\r\n`, parts: exchange.body.parts, tail: '' };
}

/** Headers that end with the connection (RFC 9110 §7.6.1) or that framing sets anew. */
export function isHopByHop(id: number): boolean {
  return HOP_BY_HOP[id] === 1;
}

const HOP_BY_HOP = new Uint8Array(256);
for (const id of [
  HeaderId.Connection,
  HeaderId.KeepAlive,
  HeaderId.ProxyConnection,
  HeaderId.Te,
  HeaderId.Trailer,
  HeaderId.Upgrade,
  HeaderId.TransferEncoding,
  HeaderId.ContentLength,
  HeaderId.Expect,
  HeaderId.ProxyAuthorization,
  HeaderId.ProxyAuthenticate,
]) {
  HOP_BY_HOP[id] = 1;
}

function clientHeaders(headers: HeaderTable, deployment: CompiledDeployment): string {
  const { forwards } = deployment;
  const dropped = connectionOptions(headers);
  let lines = '';
  for (let index = 0; index < headers.count; index += 1) {
    const id = headers.id(index);
    const rule = forwards[id];
    if (rule === ForwardRule.Drop) continue;
    if (rule === ForwardRule.Look && deployment.ownNames.has(headers.name(index))) continue;
    if (dropped !== null && dropped.has(headers.name(index))) continue;
    lines += headers.bytes.latin1Slice(headers.lineStart(index), headers.lineEnd(index));
  }
  for (const [name, line] of deployment.defaultLines) if (headers.findName(name) === -1) lines += line;
  return lines;
}

/** Ready-made unless the deployment's name holds a `*`. */
function sourceOf(upstreamModel: string, { spec, modelSource: ready }: CompiledDeployment): Bytes {
  return upstreamModel === spec.upstreamModel ? ready : modelSource(upstreamModel);
}

/** Appends the edited body to `parts`; answers its length. */
function applyEdits(body: RequestBody, edits: readonly BodyEdit[], parts: Bytes[]): number {
  if (edits.length === 0) {
    for (const part of body.parts) parts.push(part);
    return body.length;
  }
  let at = 0;
  for (const edit of edits) {
    if (edit.start > at) body.slice(at, edit.start, parts);
    if (edit.source.length > 0) parts.push(edit.source);
    at = edit.end;
  }
  if (at < body.length) body.slice(at, body.length, parts);
  return bytesOf(parts);
}
