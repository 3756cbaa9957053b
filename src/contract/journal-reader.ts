import { estimateUsage } from '../domain/usage/estimate-usage.ts';
import { openEventProblem, usageEventProblem } from './usage-event-check.ts';
import type { OpenEvent, UsageEvent } from './usage-event.ts';
import { decodeUtf8 } from './utf8.ts';

const NEWLINE = 0x0a;

/** One line of a segment. `empty` lines are what the writer tries a full disk with; they mean nothing. */
export type JournalLine =
  | { readonly kind: 'event'; readonly event: UsageEvent }
  | { readonly kind: 'open'; readonly open: OpenEvent }
  | { readonly kind: 'empty' }
  /** `problem` names no value of the line. */
  | { readonly kind: 'invalid'; readonly problem: string };

/** Takes one line, and the offset of its first byte in `bytes`. */
export type LineVisitor = (line: JournalLine, offset: number) => void;

/**
 * Reads the whole lines of `bytes`, which begin at the start of a line.
 *
 * @returns the offset behind the last whole line: what follows is the begin of a line, to be read again with what comes
 *   after it; or, when the segment is final (segment-name.ts), a line that was torn, whose answer was never completed.
 */
export function readJournalLines(bytes: Uint8Array, visit: LineVisitor): number {
  let at = 0;
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, at)) {
    visit(readJournalLine(bytes.subarray(at, end)), at);
    at = end + 1;
  }
  return at;
}

/** Reads one line, given without its newline. */
export function readJournalLine(bytes: Uint8Array): JournalLine {
  if (bytes.length === 0) return { kind: 'empty' };
  let value: unknown;
  try {
    value = JSON.parse(decodeUtf8(bytes));
  } catch {
    return { kind: 'invalid', problem: 'not JSON' };
  }
  const isOpen = typeof value === 'object' && value !== null && 'open' in value;
  const problem = isOpen ? openEventProblem(value) : usageEventProblem(value);
  if (problem !== null) return { kind: 'invalid', problem };
  return isOpen ? { kind: 'open', open: value as OpenEvent } : { kind: 'event', event: value as UsageEvent };
}

/**
 * The event of a request whose process ended before it did: what is known of it is its `open` line. Usage is an estimate
 * of what had been relayed by then, and so a lower bound of what the provider charged.
 */
export function abortedEvent(line: OpenEvent): UsageEvent {
  const { open, streamEvents, usage, ...rest } = line;
  return {
    ...rest,
    id: open,
    overheadUs: 0,
    error: null,
    aborted: 'process_ended',
    attempts: [],
    usage: estimateUsage(rest.requestBytes, streamEvents, usage),
    usageSource: 'estimated',
  };
}
