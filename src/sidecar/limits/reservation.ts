import { REFUSED, type WindowOpening } from '../../contract/limit-table.ts';
import type { LimitKind, SubjectLimits } from './subject-limits.ts';
import type { WorkerLimits } from './worker-limits.ts';

/** Nothing was taken of a window. */
const NONE: WindowOpening = REFUSED;

/**
 * What one request has taken from limits, so that it can be given back to the last bit (a later limit refuses) or settled
 * (the request is over). Written down as it is taken: whatever interrupts the request, nothing taken is forgotten.
 */
export class Reservation {
  /** Reserved of every token limit. */
  readonly tokens: number;
  /** What was refused last. */
  refusedBy: LimitKind | 'table_full' = 'requests';
  readonly #limits: WorkerLimits;
  /** The first `#count` of each array. Few requests are under more than two limits: V8 would give an empty one 17 places. */
  readonly #taken: (SubjectLimits | null)[] = [null, null];
  readonly #requestWindows: WindowOpening[] = [NONE, NONE];
  readonly #tokenWindows: WindowOpening[] = [NONE, NONE];
  #count = 0;
  #modelFrom = 0;

  constructor(limits: WorkerLimits, tokens: number) {
    this.#limits = limits;
    this.tokens = tokens;
  }

  /** One request of `subject`: all of its limits, in the order requests, tokens, parallel; or none of them. */
  take(subject: SubjectLimits, nowMs: number): boolean {
    const { table } = this.#limits;
    if (subject.row === -1) return this.#refuse('table_full');
    let requestWindow = NONE;
    if (subject.rpm !== null) {
      requestWindow = table.take(subject.requestsCell, 1, subject.rpm, nowMs);
      if (requestWindow === REFUSED) return this.#refuse('requests');
    }
    let tokenWindow = NONE;
    if (subject.tpm !== null) {
      tokenWindow = table.take(subject.tokensCell, this.tokens, subject.tpm, nowMs);
      if (tokenWindow === REFUSED) {
        if (requestWindow !== NONE) table.giveBack(subject.requestsCell, requestWindow, 1);
        return this.#refuse('tokens');
      }
    }
    if (subject.maxParallelRequests !== null && !table.takePermit(subject.row, subject.maxParallelRequests)) {
      if (requestWindow !== NONE) table.giveBack(subject.requestsCell, requestWindow, 1);
      if (tokenWindow !== NONE) table.giveBack(subject.tokensCell, tokenWindow, this.tokens);
      return this.#refuse('max_parallel_requests');
    }
    const index = this.#count;
    this.#taken[index] = subject;
    this.#requestWindows[index] = requestWindow;
    this.#tokenWindows[index] = tokenWindow;
    this.#count = index + 1;
    return true;
  }

  /** What is taken from here on belongs to the model asked for; a fallback to another lets go of it. */
  beginModel(): void {
    this.#modelFrom = this.#count;
  }

  /** The request goes to another group: the one left keeps the request counted, not its tokens nor its permit. */
  leaveModel(nowMs: number): void {
    this.#settle(this.#modelFrom, 0, nowMs);
  }

  /** The request was refused: as if it had never come. */
  undo(from = 0): void {
    const { table } = this.#limits;
    for (let index = from; index < this.#count; index += 1) {
      const subject = this.#taken[index]!;
      const requestWindow = this.#requestWindows[index]!;
      const tokenWindow = this.#tokenWindows[index]!;
      if (requestWindow !== NONE) table.giveBack(subject.requestsCell, requestWindow, 1);
      if (tokenWindow !== NONE) table.giveBack(subject.tokensCell, tokenWindow, this.tokens);
      if (subject.maxParallelRequests !== null) table.returnPermit(subject.row);
    }
    this.#count = from;
  }

  /** As `undo`, of what the model's own limits gave. */
  undoModel(): void {
    this.undo(this.#modelFrom);
  }

  /** The request is over. @param tokens it used; null: the reservation is the best that is known. */
  finish(tokens: number | null, nowMs: number): void {
    this.#settle(0, tokens ?? this.tokens, nowMs);
  }

  #settle(from: number, tokens: number, nowMs: number): void {
    const { table } = this.#limits;
    for (let index = from; index < this.#count; index += 1) {
      const subject = this.#taken[index]!;
      if (subject.maxParallelRequests !== null) table.returnPermit(subject.row);
      const tokenWindow = this.#tokenWindows[index]!;
      if (tokenWindow !== NONE) table.settle(subject.tokensCell, tokenWindow, tokens - this.tokens, nowMs);
    }
    this.#count = from;
  }

  #refuse(kind: LimitKind | 'table_full'): false {
    this.refusedBy = kind;
    return false;
  }
}
