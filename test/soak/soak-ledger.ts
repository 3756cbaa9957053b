import { closeSync, openSync, readdirSync, readSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Ending, Outcome } from '../chaos/support/load-client.ts';
import { numberOfTrace } from '../chaos/support/nonce.ts';

/** Of each request: how it ended. 0 = it has not. */
const CODES: readonly (Ending | 'error' | 'no-request')[] = [
  'complete',
  'error',
  'stream-error',
  'cut',
  'vanished',
  'wrong',
  'timeout',
  'unconnected',
  'no-request',
];
const FIRST_CAPACITY = 1 << 16;
const READ_BYTES = 1 << 20;

/**
 * Account of millions of requests, some bytes each: how every one ended, and how many lines the journal has for it. Lines
 * are read while the run goes on, and segments that are through are removed, so that the disk stays small.
 */
export class SoakLedger {
  readonly counts: Record<string, number> = {};
  readonly violations: string[] = [];
  #endings = new Uint8Array(FIRST_CAPACITY);
  #lines = new Uint8Array(FIRST_CAPACITY);
  /** Of the id that the client was told, and of the id in the journal. */
  #toldIds = new Uint32Array(FIRST_CAPACITY);
  #lineIds = new Uint32Array(FIRST_CAPACITY);
  readonly #runId: string;
  readonly #directory: string;
  readonly #offsets = new Map<string, number>();
  #last = 0;

  constructor(runId: string, directory: string) {
    this.#runId = runId;
    this.#directory = directory;
  }

  record({ number, ending, status, callId, plan, detail }: Outcome): void {
    this.#reserve(number);
    const isRequest = plan.vanish !== 'before-head-end' && ending !== 'unconnected';
    const name = isRequest ? (ending === 'complete' && status !== 200 ? 'error' : ending) : 'no-request';
    this.#endings[number] = CODES.indexOf(name) + 1;
    this.#toldIds[number] = callId === null ? 0 : hash(callId);
    this.#last = Math.max(this.#last, number);
    const shown = name === 'error' ? `status ${status}` : name;
    this.counts[shown] = (this.counts[shown] ?? 0) + 1;
    const isGood = plan.model === 'good' && (plan.vanish ?? null) === null;
    if (ending === 'wrong' || ending === 'unconnected' || (isGood && name !== 'complete')) {
      this.#say(`#${number} ${plan.model}${plan.stream ? ' stream' : ''}: ${ending} ${status} ${detail}`);
    }
  }

  /** Reads what is new in the journal. */
  readJournal(): void {
    const names = readdirSync(this.#directory)
      .filter((name) => name.endsWith('.ndjson'))
      .sort();
    for (const [index, name] of names.entries()) {
      const path = join(this.#directory, name);
      const from = this.#offsets.get(name) ?? 0;
      const size = statSync(path).size;
      const read = size > from ? from + this.#readLines(path, from) : from;
      this.#offsets.set(name, read);
      const isLast = index === names.length - 1;
      // Nothing is appended to a segment once there is a later one.
      if (!isLast && read === size) unlinkSync(path);
    }
  }

  /** To be called once, after the last request. @returns the sums of the claim. */
  settle(dropped: number, refused: number): Record<string, number> {
    this.readJournal();
    let journaled = 0;
    let unrecorded = 0;
    let sent = 0;
    for (let number = 1; number <= this.#last; number += 1) {
      const ending = CODES[(this.#endings[number] ?? 0) - 1];
      const lines = this.#lines[number] ?? 0;
      const expected = ending === undefined || ending === 'no-request' ? 0 : 1;
      sent += expected;
      journaled += lines > 0 ? 1 : 0;
      if (lines > expected) this.#say(`#${number}: ${lines} lines, ending ${ending ?? 'none'}`);
      if (lines < expected) {
        unrecorded += 1;
        if (ending === 'complete') this.#say(`#${number}: answered, and no line`);
      } else if (this.#toldIds[number] !== 0 && this.#toldIds[number] !== this.#lineIds[number]) {
        this.#say(`#${number}: a line with another id`);
      }
    }
    if (unrecorded !== dropped + refused) {
      this.#say(
        `${unrecorded} requests without a line, but ${dropped} dropped and ${refused} refused by its own count`,
      );
    }
    return { sent, journaled, dropped, refused };
  }

  /** @returns bytes of whole lines. */
  #readLines(path: string, from: number): number {
    const file = openSync(path, 'r');
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    let done = 0;
    try {
      for (;;) {
        const length = readSync(file, buffer, 0, buffer.length, from + done);
        const end = buffer.subarray(0, length).lastIndexOf(0x0a) + 1;
        if (end === 0) return done;
        for (const line of buffer.toString('utf8', 0, end - 1).split('\n')) this.#readLine(line);
        done += end;
      }
    } finally {
      closeSync(file);
    }
  }

  #readLine(line: string): void {
    if (line === '') return; // what a full disk is tried with
    const event = JSON.parse(line) as { id: string; traceId: string | null; open?: string };
    if (event.open !== undefined) return;
    const number = numberOfTrace(this.#runId, event.traceId);
    if (number === null) {
      this.#say(`a line of no request of this run: ${line.slice(0, 100)}`);
      return;
    }
    this.#reserve(number);
    this.#lines[number] = Math.min(255, (this.#lines[number] ?? 0) + 1);
    this.#lineIds[number] = hash(event.id);
  }

  #reserve(number: number): void {
    if (number < this.#endings.length) return;
    const capacity = Math.max(number + 1, this.#endings.length * 2);
    this.#endings = grown(this.#endings, new Uint8Array(capacity));
    this.#lines = grown(this.#lines, new Uint8Array(capacity));
    this.#toldIds = grown(this.#toldIds, new Uint32Array(capacity));
    this.#lineIds = grown(this.#lineIds, new Uint32Array(capacity));
  }

  #say(violation: string): void {
    if (this.violations.length < 20) this.violations.push(violation);
  }
}

function grown<T extends Uint8Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** FNV-1a; never 0. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0 || 1;
}
