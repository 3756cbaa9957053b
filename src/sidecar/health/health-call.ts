import { performance } from 'node:perf_hooks';
import { asBytes, type Bytes } from '../../base/bytes.ts';
import type { HealthCheckRequest } from '../../domain/health/health-check-request.ts';
import { ParserEvent } from '../../http1/parser-event.ts';
import type { CompiledDeployment } from '../compiled-snapshot.ts';
import { giveBack } from '../forward/give-back.ts';
import type { CheckResult } from '../routing/deployment-health.ts';
import type { UpstreamConnection, UpstreamFailure, UpstreamOwner } from '../upstream/upstream-connection.ts';

/** The status of a check whose provider did not answer in time, and of one that got no connection or lost it. */
export const CHECK_TIMED_OUT = 0;
export const CHECK_UNREACHABLE = -1;

/** A provider that answers a question of five tokens with more is cut off: its status is known. */
const MAX_REPLY_BYTES = 1024 * 1024;

/** One question to one deployment, through the pool that its requests use. It belongs to no client. */
export class HealthCall implements UpstreamOwner {
  readonly deployment: CompiledDeployment;
  /** Monotonic ms. */
  readonly deadlineMs: number;
  readonly #request: HealthCheckRequest;
  readonly #onDone: (call: HealthCall, result: CheckResult) => void;
  readonly #startedMs = performance.now();
  readonly #startedUnixMs = Date.now();
  #connection: UpstreamConnection | null = null;
  #replyBytes = 0;
  #repeatedFresh = false;
  #over = false;

  constructor(
    deployment: CompiledDeployment,
    request: HealthCheckRequest,
    onDone: (call: HealthCall, result: CheckResult) => void,
  ) {
    this.deployment = deployment;
    this.deadlineMs = this.#startedMs + deployment.spec.healthCheck.timeoutMs;
    this.#request = request;
    this.#onDone = onDone;
  }

  start(): void {
    const connection = this.deployment.pool.acquire(this, this.#startedMs);
    if (connection !== null) this.onUpstreamConnected(connection);
  }

  expire(): void {
    this.#end(CHECK_TIMED_OUT);
  }

  onUpstreamConnected(connection: UpstreamConnection): void {
    this.#connection = connection;
    const { endpoint, body } = this.#request;
    const { heads, defaultLines } = this.deployment;
    let head = `${heads[endpoint]}content-type: application/json\r\n`;
    for (const [, line] of defaultLines) head += line;
    const bytes = asBytes(Buffer.from(body, 'utf8'));
    connection.parser.expect('POST', false);
    connection.send({ head: `${head}content-length: ${bytes.length}\r\n\r\n`, parts: [bytes], tail: '' });
  }

  onUpstreamConnectFailed(failure: UpstreamFailure): void {
    this.#connection = null;
    this.#end(failure.name === 'upstream_timeout' ? CHECK_TIMED_OUT : CHECK_UNREACHABLE);
  }

  onUpstreamDrain(): void {
    // The question is short: it lies in the socket as a whole.
  }

  onUpstreamData(chunk: Bytes): void {
    const { parser } = this.#connection!;
    this.#replyBytes += chunk.length;
    let at = 0;
    while (!this.#over) {
      at = parser.next(chunk, at, chunk.length);
      switch (parser.event) {
        case ParserEvent.NeedMore:
          if (this.#replyBytes > MAX_REPLY_BYTES) this.#end(parser.head.status);
          return;
        case ParserEvent.Head:
        case ParserEvent.Body:
          break;
        case ParserEvent.End:
          this.#complete(at === chunk.length);
          return;
        case ParserEvent.Error:
          this.#end(CHECK_UNREACHABLE);
          return;
        default:
          return parser.event satisfies never;
      }
    }
  }

  onUpstreamClosed(failure: UpstreamFailure | null): void {
    const connection = this.#connection!;
    this.#connection = null;
    if (this.#replyBytes === 0 && connection.reused && !this.#repeatedFresh) {
      this.#repeatedFresh = true;
      this.deployment.pool.acquireFresh(this, performance.now());
      return;
    }
    if (failure === null && this.#replyBytes > 0) {
      connection.parser.finish();
      if (connection.parser.event === ParserEvent.End) {
        this.#end(connection.parser.head.status);
        return;
      }
    }
    this.#end(CHECK_UNREACHABLE);
  }

  #complete(isClean: boolean): void {
    const connection = this.#connection!;
    this.#connection = null;
    const { status } = connection.parser.head;
    giveBack(connection, isClean);
    this.#end(status);
  }

  #end(status: number): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#connection === null) this.deployment.pool.cancel(this);
    else this.#connection.destroy();
    this.#connection = null;
    const durationMs = performance.now() - this.#startedMs;
    this.#onDone(this, { atUnixMs: this.#startedUnixMs, status, durationMs });
  }
}
