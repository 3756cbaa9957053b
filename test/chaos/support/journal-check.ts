import type { UsageEvent } from '../../../src/contract/usage-event.ts';
import type { JournalContent } from './journal-lines.ts';
import type { Outcome } from './load-client.ts';
import { numberOfTrace } from './nonce.ts';

/** Monotonic ms between which requests may be lost. */
export interface LossWindow {
  readonly fromMs: number;
  readonly untilMs: number;
}

export interface JournalClaim {
  readonly runId: string;
  readonly outcomes: readonly Outcome[];
  readonly journal: JournalContent;
  /** A process that serves requests was killed, or was not there. */
  readonly kills: readonly LossWindow[];
  /** Connections may have been closed before a byte of theirs was read. */
  readonly unread?: readonly LossWindow[];
  /** `slipstream_journal_dropped_total`, over all processes of the run. */
  readonly dropped: number;
  /** `slipstream_refused_before_authentication_total`; null where a kill took the counter along. */
  readonly refusedBeforeAuthentication: number | null;
}

export interface JournalVerdict {
  readonly sent: number;
  readonly journaled: number;
  readonly refused: number;
  readonly inFlightAtKill: number;
  /** On connections that were closed before a byte of theirs was read. */
  readonly unread: number;
  /** Should have a line and have none. */
  readonly missing: number;
  readonly violations: readonly string[];
}

/** How many examples of one kind are told. */
const MAX_EXAMPLES = 3;

/**
 * The claim of the journal: what was answered completely is in it, nothing twice, and
 * sent = journaled + refused before authentication + in flight at a SIGKILL + dropped.
 */
export function checkJournal(claim: JournalClaim): JournalVerdict {
  const { outcomes, journal, kills } = claim;
  const problems = new Problems();
  const byNumber = linesByNumber(claim, problems);
  let refused = 0;
  let inFlightAtKill = 0;
  let unread = 0;
  let missing = 0;
  let sent = 0;
  for (const outcome of outcomes) {
    const lines = byNumber.get(outcome.number) ?? [];
    if (outcome.ending === 'unconnected' || outcome.plan.vanish === 'before-head-end') {
      if (lines.length > 0) problems.add('a line for a request that never was', outcome);
      continue;
    }
    sent += 1;
    if (lines.length > 1) problems.add('two lines for one request', outcome);
    const [line] = lines;
    if (line !== undefined) {
      if (outcome.callId !== null && line.id !== outcome.callId) problems.add('a line with another id', outcome);
      if (outcome.ending === 'complete' && line.status !== outcome.status) {
        problems.add(`a line with status ${line.status}`, outcome);
      }
    } else if (isWithin(outcome, kills) && outcome.ending !== 'complete') inFlightAtKill += 1;
    else if (isWithin(outcome, claim.unread ?? []) && isUnanswered(outcome)) unread += 1;
    else if (isRefusal(outcome)) refused += 1;
    else {
      missing += 1;
      if (missing > claim.dropped) problems.add('no line', outcome);
    }
  }
  if (missing < claim.dropped) problems.say(`${claim.dropped} events are counted as dropped, ${missing} are missing`);
  const counted = claim.refusedBeforeAuthentication;
  if (counted !== null && counted !== refused) {
    problems.say(`${counted} requests are counted as refused before authentication, ${refused} were answered so`);
  }
  const ended = new Set(journal.events.map(({ id }) => id));
  const unended = journal.opens.filter(({ open }) => !ended.has(open)).length;
  if (unended > inFlightAtKill) problems.say(`${unended} open lines without an end`);
  for (const line of journal.malformed) problems.say(`not an event: ${line}`);
  const journaled = outcomes.filter(({ number }) => byNumber.has(number)).length;
  return { sent, journaled, refused, inFlightAtKill, unread, missing, violations: problems.all() };
}

function linesByNumber({ runId, journal, outcomes }: JournalClaim, problems: Problems): Map<number, UsageEvent[]> {
  const byNumber = new Map<number, UsageEvent[]>();
  const ids = new Set<string>();
  const known = new Set(outcomes.map(({ number }) => number));
  for (const event of journal.events) {
    if (ids.has(event.id)) problems.say(`id ${event.id} twice`);
    ids.add(event.id);
    const number = numberOfTrace(runId, event.traceId);
    if (number === null) continue;
    if (!known.has(number)) problems.say(`a line for request ${number}, which was never sent`);
    const lines = byNumber.get(number);
    if (lines === undefined) byNumber.set(number, [event]);
    else lines.push(event);
  }
  return byNumber;
}

/** The connection ended, or the client gave up, without a byte of an answer. */
function isUnanswered({ ending, status }: Outcome): boolean {
  return status === 0 && (ending === 'cut' || ending === 'timeout');
}

/** Answered in order, with an error, and no line: before its key was accepted. */
function isRefusal(outcome: Outcome): boolean {
  return outcome.ending === 'complete' && outcome.status >= 400;
}

function isWithin(outcome: Outcome, windows: readonly LossWindow[]): boolean {
  return windows.some(({ fromMs, untilMs }) => outcome.startedMs <= untilMs && outcome.endedMs >= fromMs);
}

class Problems {
  readonly #examples = new Map<string, string[]>();
  readonly #counts = new Map<string, number>();

  add(kind: string, { number, plan, ending, status, detail }: Outcome): void {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    const examples = this.#examples.get(kind) ?? [];
    this.#examples.set(kind, examples);
    if (count > MAX_EXAMPLES) return;
    const what = `${plan.model}${plan.stream ? ' stream' : ''}`;
    examples.push(`#${number} ${what}: ${ending} ${status} ${detail}`.trim());
  }

  say(text: string): void {
    this.#counts.set(text, 1);
  }

  all(): string[] {
    return Array.from(this.#counts, ([kind, count]) => {
      const examples = this.#examples.get(kind);
      return examples === undefined ? kind : `${count} × ${kind} (${examples.join('; ')})`;
    });
  }
}
