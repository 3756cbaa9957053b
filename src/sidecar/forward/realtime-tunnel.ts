import { performance } from 'node:perf_hooks';
import type { Bytes } from '../../base/bytes.ts';
import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { classOfStatus, type FailureClass } from '../../domain/routing/failure-class.ts';
import { passedQuery } from '../../domain/request/passed-query.ts';
import { HeaderId } from '../../http1/header-id.ts';
import type { HeaderTable } from '../../http1/header-table.ts';
import { ParserEvent } from '../../http1/parser-event.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import { resolveModel, type CompiledDeployment } from '../compiled-snapshot.ts';
import { requestLine } from '../deployment-details.ts';
import { answerError } from '../exchange/answer-error.ts';
import type { Exchange, Forwarder } from '../exchange/exchange.ts';
import { mayUseModel, modelBehindAlias } from '../keys/resolved-key.ts';
import { admitBudgets } from '../budgets/admit-budgets.ts';
import { admit } from '../limits/admit.ts';
import { reportFailure } from '../routing/attribute-failure.ts';
import { NO_TICKET, type Ticket } from '../routing/deployment-health.ts';
import { tagsNotServed } from '../routing/tags-not-served.ts';
import type { UpstreamConnection, UpstreamFailure, UpstreamOwner } from '../upstream/upstream-connection.ts';
import { gatewayHeaders, providerHeaders } from './answer-headers.ts';
import { withheldError } from './judge-reply.ts';
import { firstChoice, noDeployments, type Choice } from './next-choice.ts';
import { ReplyRelay } from './reply-relay.ts';

const KEEP_ALIVE_MS = 60_000;
const KEY_PROTOCOL = 'openai-insecure-api-key.';

/** `/v1/realtime`: an authenticated WebSocket upgrade becomes a tunnel to a deployment of the model in `?model=`. */
export function openTunnel(exchange: Exchange): void {
  const refusal = findRealtimeModel(exchange) ?? admit(exchange) ?? admitBudgets(exchange);
  if (refusal !== null) {
    answerError(exchange, refusal);
    return;
  }
  const choice = firstChoice(exchange);
  if (choice === null) {
    answerError(exchange, tagsNotServed(exchange) ?? noDeployments(exchange));
    return;
  }
  const tunnel = new RealtimeTunnel(exchange, choice);
  exchange.attempt = tunnel;
  tunnel.start();
}

function findRealtimeModel(exchange: Exchange): GatewayError | null {
  const { head, snapshot, key } = exchange;
  if (!head.upgrade || head.headers.text(HeaderId.Upgrade)?.toLowerCase() !== 'websocket') {
    return gatewayError('upgrade_unsupported', '/v1/realtime serves WebSocket upgrades only');
  }
  const model = new URLSearchParams(head.query).get('model');
  if (model === null || model === '')
    return gatewayError('missing_model', 'the request names no model: add ?model=', 'model');
  const resolved = resolveModel(snapshot, modelBehindAlias(key!, model));
  if (!mayUseModel(key!, model, resolved === null ? model : resolved.group.name)) {
    return gatewayError('model_access_denied', `key not allowed to access model. Tried to access ${model}`, 'model');
  }
  if (resolved === null) return gatewayError('unknown_model', `Invalid model name passed in model=${model}.`, 'model');
  if (resolved.group.family !== 'openai')
    return gatewayError(
      'wrong_protocol',
      `model ${JSON.stringify(model)} has no realtime protocol: call it on /v1/messages`,
      'model',
    );
  exchange.model = model;
  exchange.resolved = resolved;
  exchange.group = resolved.group;
  exchange.requestedGroup = resolved.group;
  return null;
}

/** Before the 101 an upstream request like any other, after it two sockets joined. */
class RealtimeTunnel implements UpstreamOwner, Forwarder {
  readonly #exchange: Exchange;
  readonly #deployment: CompiledDeployment;
  readonly #upstreamModel: string;
  #ticket: Ticket;
  readonly #startedMs = performance.now();
  #connection: UpstreamConnection | null = null;
  #refused: ReplyRelay | null = null;
  #open = false;
  #over = false;
  #isClientBlocked = false;
  #isUpstreamBlocked = false;

  constructor(exchange: Exchange, choice: Choice) {
    this.#exchange = exchange;
    this.#deployment = choice.deployment;
    this.#upstreamModel = choice.upstreamModel;
    this.#ticket = choice.ticket;
  }

  start(): void {
    const exchange = this.#exchange;
    exchange.worker.load.started(this.#deployment);
    exchange.deployment = this.#deployment;
    exchange.upstreamModel = this.#upstreamModel;
    exchange.callDeadlineMs = this.#startedMs + exchange.snapshot.settings.timeouts.firstByteMs;
    exchange.sendOverheadUs = (this.#startedMs - exchange.workSinceMs) * 1000;
    // Never a reused connection: a tunnel is not repeated when it fails.
    this.#deployment.pool.acquireFresh(this, this.#startedMs);
  }

  cancel(): void {
    if (this.#over) return;
    this.#end();
    this.#exchange.worker.health.onGivenUp(this.#deployment.health, this.#ticket);
    if (this.#connection === null) this.#deployment.pool.cancel(this);
    else this.#connection.destroy();
    this.#connection = null;
  }

  /** Whatever happens, once. */
  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#exchange.worker.load.ended(this.#deployment);
  }

  resume(): void {
    this.#connection?.resume();
  }

  onTimeout(): void {
    if (this.#open) {
      this.cancel();
      this.#exchange.endTunnel('idle');
      return;
    }
    this.#fail(gatewayError('upstream_timeout', 'the provider did not open the connection in time'), 'timeout');
  }

  onUpstreamConnected(connection: UpstreamConnection): void {
    const exchange = this.#exchange;
    this.#connection = connection;
    connection.parser.expect('GET', true);
    connection.write(tunnelRequest(exchange, this.#deployment, this.#upstreamModel));
  }

  onUpstreamConnectFailed(failure: UpstreamFailure): void {
    this.#fail(gatewayError(failure.name, failure.message), 'connection', failure.isOurs);
  }

  onUpstreamDrain(): void {
    if (!this.#open) return;
    this.#isUpstreamBlocked = false;
    this.#exchange.connection.socket.resume();
    this.#renew();
  }

  onUpstreamData(chunk: Bytes): void {
    if (this.#open) {
      this.#toClient(chunk);
      return;
    }
    this.#exchange.replyReadMs = performance.now();
    const { parser } = this.#connection!;
    let at = 0;
    while (!this.#over) {
      at = parser.next(chunk, at, chunk.length);
      switch (parser.event) {
        case ParserEvent.NeedMore:
          return;
        case ParserEvent.Head:
          if (parser.head.status === 101) {
            this.#join(parser.head, chunk.subarray(at));
            return;
          }
          if (parser.head.status === 401 || parser.head.status === 403) {
            this.#refuseCredential(parser.head);
            return;
          }
          this.#report(classOfStatus(parser.head.status), parser.head.headers, false);
          this.#note(parser.head.status);
          this.#refused = new ReplyRelay(this.#exchange, parser.head);
          break;
        case ParserEvent.Body:
          this.#refused!.body(chunk, parser.bodyStart, parser.bodyEnd);
          break;
        case ParserEvent.End:
          this.#endRefusal(this.#refused!);
          return;
        case ParserEvent.Error:
          this.#fail(gatewayError('upstream_invalid_reply', "the provider's reply is not valid HTTP/1.1"), 'server');
          return;
        default:
          return parser.event satisfies never;
      }
    }
  }

  onUpstreamClosed(failure: UpstreamFailure | null): void {
    const parser = this.#connection?.parser;
    this.#connection = null;
    if (failure === null && this.#refused !== null && parser !== undefined) {
      parser.finish();
      if (parser.event === ParserEvent.End) {
        this.#endRefusal(this.#refused);
        return;
      }
    }
    if (this.#open) {
      this.#end();
      this.#exchange.endTunnel(failure === null ? null : 'upstream_interrupted');
      return;
    }
    this.#fail(
      gatewayError(
        'upstream_closed',
        failure?.message ?? 'the provider closed the connection before its answer was complete',
      ),
      'connection',
    );
  }

  /** The provider agreed: our 101 with its headers, then bytes both ways. */
  #join(head: ResponseHead, early: Bytes): void {
    const exchange = this.#exchange;
    const { connection } = exchange;
    this.#open = true;
    exchange.worker.health.onSuccess(this.#deployment.health, this.#ticket);
    this.#ticket = NO_TICKET;
    this.#note(101);
    const upgrade = 'connection: upgrade\r\nupgrade: websocket\r\n';
    const accept = providerHeaders(head, exchange) + protocolLine(head, exchange) + gatewayHeaders(exchange) + upgrade;
    const { socket } = connection;
    const ahead = connection.becomeTunnel((chunk) => {
      this.#toUpstream(chunk);
    });
    exchange.beginTunnel(accept);
    if (early.length > 0) this.#toClient(early);
    if (ahead !== null && ahead.length > 0) this.#toUpstream(ahead);
    socket.on('drain', () => {
      this.#isClientBlocked = false;
      this.#connection?.resume();
      this.#renew();
    });
    socket.on('end', () => {
      socket.destroy();
    });
    // A session may be silent for long; a machine that is gone without a word is noticed by these.
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.resume();
    this.#renew();
  }

  #toClient(chunk: Bytes): void {
    this.#exchange.responseBytes += chunk.length;
    this.#renew();
    if (this.#exchange.connection.socket.write(chunk)) return;
    this.#connection?.pause();
    this.#boundBlocked();
    this.#isClientBlocked = true;
  }

  #toUpstream(chunk: Bytes): void {
    this.#exchange.body.length += chunk.length;
    this.#renew();
    if (this.#connection?.write(chunk) !== false) return;
    this.#exchange.connection.socket.pause();
    this.#boundBlocked();
    this.#isUpstreamBlocked = true;
  }

  /** Bytes wait for a side that does not take them: traffic the other way does not renew this. */
  #boundBlocked(): void {
    if (this.#isClientBlocked || this.#isUpstreamBlocked) return;
    const exchange = this.#exchange;
    exchange.attemptDeadlineMs = performance.now() + exchange.snapshot.settings.timeouts.clientWriteIdleMs;
  }

  /** A byte went one way or the other. */
  #renew(): void {
    if (this.#isClientBlocked || this.#isUpstreamBlocked) return;
    const exchange = this.#exchange;
    exchange.attemptDeadlineMs = performance.now() + exchange.snapshot.settings.timeouts.tunnelIdleMs;
  }

  /** The provider does not open the tunnel: its answer is the client's. */
  #endRefusal(refused: ReplyRelay): void {
    this.cancel();
    this.#exchange.keepAlive = false;
    refused.end();
  }

  #refuseCredential({ status, headers }: ResponseHead): void {
    this.#report('credential', headers, false);
    this.#note(status, gatewayError('upstream_refused_credential', ''));
    const error = withheldError(this.#exchange, status, 'credential');
    this.cancel();
    if (error !== null) answerError(this.#exchange, error);
  }

  #report(failure: FailureClass, headers: HeaderTable | null, isOurs: boolean): void {
    const ticket = this.#ticket;
    this.#ticket = NO_TICKET;
    reportFailure(this.#exchange, { deployment: this.#deployment, ticket, failure, headers, isOurs });
  }

  #fail(error: GatewayError, failure: FailureClass, isOurs = false): void {
    if (this.#over) return;
    this.#report(failure, null, isOurs);
    this.cancel();
    this.#note(0, error);
    answerError(this.#exchange, error);
  }

  #note(status: number, error: GatewayError | null = null): void {
    const durationMs = performance.now() - this.#startedMs;
    this.#exchange.attempts.push({
      deployment: this.#deployment.spec.id,
      status,
      error: error === null ? null : error.name,
      durationMs,
      usage: null,
      costNano: null,
    });
  }
}

function tunnelRequest(exchange: Exchange, deployment: CompiledDeployment, upstreamModel: string): string {
  const query = new URLSearchParams(passedQuery(exchange.head.query, deployment.ownQueryNames));
  query.set('model', upstreamModel);
  return (
    requestLine(deployment.spec, 'GET', `/realtime?${query.toString()}`) +
    deployment.headerBlock +
    webSocketHeaders(exchange.head.headers, deployment) +
    'connection: upgrade\r\nupgrade: websocket\r\n\r\n'
  );
}

const PASSED: readonly HeaderId[] = [
  HeaderId.SecWebsocketKey,
  HeaderId.SecWebsocketVersion,
  HeaderId.SecWebsocketExtensions,
  HeaderId.OpenaiBeta,
  HeaderId.UserAgent,
  HeaderId.Traceparent,
  HeaderId.Tracestate,
];

function webSocketHeaders(headers: HeaderTable, deployment: CompiledDeployment): string {
  let lines = '';
  for (let index = 0; index < headers.count; index += 1) {
    if (PASSED.includes(headers.id(index)))
      lines += headers.bytes.latin1Slice(headers.lineStart(index), headers.lineEnd(index));
  }
  const protocols = headers.text(HeaderId.SecWebsocketProtocol);
  if (protocols !== null) {
    const passed = protocols
      .split(',')
      .map((name) => name.trim())
      .filter((name) => !name.startsWith(KEY_PROTOCOL));
    // The client's key in a subprotocol is replaced by ours, so that the provider's choice of protocol still fits.
    const ours = bearerOf(deployment);
    if (passed.length < protocols.split(',').length && ours !== null) passed.push(KEY_PROTOCOL + ours);
    if (passed.length > 0) lines += `sec-websocket-protocol: ${passed.join(', ')}\r\n`;
  }
  return lines;
}

/** The subprotocol that the provider chose. If that is the one with our key, the client hears the name it offered. */
function protocolLine(head: ResponseHead, exchange: Exchange): string {
  let chosen = head.headers.text(HeaderId.SecWebsocketProtocol);
  if (chosen !== null && chosen.startsWith(KEY_PROTOCOL)) {
    const offered = exchange.head.headers.text(HeaderId.SecWebsocketProtocol)?.split(',') ?? [];
    chosen = offered.map((name) => name.trim()).find((name) => name.startsWith(KEY_PROTOCOL)) ?? null;
  }
  return chosen === null ? '' : `sec-websocket-protocol: ${chosen}\r\n`;
}

function bearerOf(deployment: CompiledDeployment): string | null {
  const value = deployment.spec.headers.find(([name]) => name === 'authorization')?.[1];
  return value !== undefined && value.startsWith('Bearer ') ? value.slice(7) : null;
}
