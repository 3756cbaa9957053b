import { performance } from 'node:perf_hooks';
import type { Bytes } from '../../base/bytes.ts';
import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { ParserEvent } from '../../http1/parser-event.ts';
import { answerError, answerInterrupted } from '../exchange/answer-error.ts';
import type { Exchange, Forwarder } from '../exchange/exchange.ts';
import type { UpstreamConnection, UpstreamFailure, UpstreamOwner } from '../upstream/upstream-connection.ts';
import { ReplyRelay } from './reply-relay.ts';
import { adminRequest } from './upstream-request.ts';

/** Passes what is not LLM traffic to the control plane's admin socket, which authenticates it itself. */
export function forwardToControl(exchange: Exchange): void {
  const relay = new AdminRelay(exchange);
  exchange.attempt = relay;
  relay.start();
}

class AdminRelay implements UpstreamOwner, Forwarder {
  readonly #exchange: Exchange;
  #connection: UpstreamConnection | null = null;
  #relay: ReplyRelay | null = null;
  #answered = false;
  #repeatedFresh = false;
  #over = false;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  start(): void {
    const nowMs = performance.now();
    this.#exchange.callDeadlineMs = nowMs + this.#exchange.snapshot.settings.timeouts.requestMs;
    const connection = this.#exchange.worker.adminPool.acquire(this, nowMs);
    if (connection !== null) this.#send(connection);
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#connection === null) this.#exchange.worker.adminPool.cancel(this);
    else this.#connection.destroy();
    this.#connection = null;
  }

  resume(): void {
    this.#connection?.resume();
  }

  onTimeout(): void {
    this.#fail(gatewayError('control_unavailable', 'The control plane did not answer in time.'));
  }

  onUpstreamConnected(connection: UpstreamConnection): void {
    this.#send(connection);
  }

  onUpstreamConnectFailed(_failure: UpstreamFailure): void {
    this.#fail({
      ...gatewayError('control_unavailable', 'The control plane is away; it will be back in seconds.'),
      retryAfterSeconds: 2,
    });
  }

  onUpstreamDrain(): void {
    // The request is whole in memory when it is sent.
  }

  onUpstreamData(chunk: Bytes): void {
    const connection = this.#connection!;
    const { parser } = connection;
    this.#answered = true;
    let at = 0;
    while (!this.#over) {
      at = parser.next(chunk, at, chunk.length);
      switch (parser.event) {
        case ParserEvent.NeedMore:
          if (this.#relay !== null && !this.#relay.flush()) connection.pause();
          return;
        case ParserEvent.Head:
          this.#relay = new ReplyRelay(this.#exchange, parser.head);
          break;
        case ParserEvent.Body:
          this.#relay!.body(chunk, parser.bodyStart, parser.bodyEnd);
          break;
        case ParserEvent.End:
          this.#complete(at === chunk.length && parser.head.keepAlive);
          return;
        case ParserEvent.Error:
          this.#fail(gatewayError('internal_error', "The control plane's reply is not valid HTTP/1.1."));
          return;
        default:
          return parser.event satisfies never;
      }
    }
  }

  onUpstreamClosed(failure: UpstreamFailure | null): void {
    const connection = this.#connection!;
    this.#connection = null;
    if (!this.#answered && connection.reused && !this.#repeatedFresh) {
      this.#repeatedFresh = true;
      this.#exchange.worker.adminPool.acquireFresh(this, performance.now());
      return;
    }
    if (failure === null && this.#relay !== null) {
      connection.parser.finish();
      if (connection.parser.event === ParserEvent.End) {
        this.#complete(false);
        return;
      }
    }
    this.#fail({
      ...gatewayError('control_unavailable', 'The control plane went away while it answered.'),
      retryAfterSeconds: 2,
    });
  }

  #send(connection: UpstreamConnection): void {
    this.#connection = connection;
    connection.parser.expect(this.#exchange.head.method, false);
    connection.send(adminRequest(this.#exchange));
  }

  #complete(mayReuse: boolean): void {
    this.#over = true;
    if (mayReuse) this.#connection?.release(null);
    else this.#connection?.destroy();
    this.#connection = null;
    this.#relay!.end();
  }

  #fail(error: GatewayError): void {
    if (this.#over) return;
    this.cancel();
    if (this.#exchange.committed) answerInterrupted(this.#exchange, error, false);
    else answerError(this.#exchange, error);
  }
}
