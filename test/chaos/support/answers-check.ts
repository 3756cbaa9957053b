import type { JournalContent } from './journal-lines.ts';

/** A complete answer, as the load generator saw it. */
export interface Answer {
  /** `x-slipstream-call-id`; `-` where there was none. */
  readonly id: string;
  readonly status: number;
}

export interface AnswersClaim {
  readonly answers: readonly Answer[];
  readonly journal: JournalContent;
  /** The terms of the sum in docs/journal.md, as /metrics tells them; the look itself is in `unrecorded` and `inFlight`. */
  readonly counted: {
    readonly received: number;
    readonly lines: number;
    readonly dropped: number;
    readonly refused: number;
    readonly abandoned: number;
    readonly unrecorded: number;
    readonly inFlight: number;
  };
}

/**
 * The claim of the journal where requests have no number of their own: what was answered is in it under its id and with its
 * status, or was refused before authentication; nothing is in it twice; the sum of all that was received is exact.
 */
export function checkAnswers({ answers, journal, counted }: AnswersClaim): string[] {
  const problems: string[] = [];
  const statusById = new Map(journal.events.map(({ id, status }) => [id, status]));
  if (statusById.size !== journal.events.length) {
    problems.push(`${journal.events.length - statusById.size} ids stand twice in the journal`);
  }
  const isRefusal = ({ id, status }: Answer): boolean => id !== '-' && status >= 400 && !statusById.has(id);
  const refusals = answers.filter(isRefusal).length;
  const wrong = answers.filter((answer) => !isRefusal(answer) && statusById.get(answer.id) !== answer.status);
  const [first] = wrong;
  if (first !== undefined) {
    problems.push(
      `${wrong.length} answers have no such line, the first: ${first.id} ${first.status}, line ${statusById.get(first.id)}`,
    );
  }
  if (refusals > counted.refused) {
    problems.push(`${refusals} answers have no line, ${counted.refused} requests were refused before authentication`);
  }
  if (new Set(answers.map(({ id }) => id)).size !== answers.length) problems.push('two answers have one id');
  if (journal.events.length !== counted.lines) {
    problems.push(`${journal.events.length} events in the journal, ${counted.lines} are counted`);
  }
  const { received, lines, dropped, refused, abandoned, unrecorded, inFlight } = counted;
  const sum = lines + dropped + refused + abandoned + unrecorded + inFlight;
  if (received !== sum) {
    problems.push(`received ${received} ≠ ${sum}: ${JSON.stringify(counted)}`);
  }
  if (inFlight !== 1) problems.push(`${inFlight - 1} requests in flight for ever`);
  for (const line of journal.malformed) problems.push(`not an event: ${line}`);
  return problems;
}
