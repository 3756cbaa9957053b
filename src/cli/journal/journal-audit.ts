import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { abortedEvent, readJournalLines, type JournalLine } from '../../contract/journal-reader.ts';
import { DATA_FILES } from '../../contract/persisted-state.ts';
import { isSegmentFinal, isWriterGone, parseSegmentName, type SegmentName } from '../../contract/segment-name.ts';
import type { OpenEvent, UsageEvent } from '../../contract/usage-event.ts';
import { heldLocks } from '../../runtime/process-lock.ts';

const CHUNK_BYTES = 1024 * 1024;
/** One Set holds at most 2^24 ids. */
const ID_SETS = 64;
/** Of each kind, the first ones are named. */
const MAX_NAMED = 20;

/** Something that the journal must not hold, or could not be read. */
export interface JournalProblem {
  readonly segment: string;
  /** Of the line's first byte; null: the whole segment. */
  readonly offset: number | null;
  readonly problem: string;
}

export interface JournalReport {
  readonly segments: number;
  readonly bytes: number;
  /** Processes that write at present. */
  readonly livingProcesses: number;
  readonly events: number;
  /** Status 200 to 299, not broken off. */
  readonly completed: number;
  /** Answered with an error. */
  readonly failed: number;
  /** The client left, or the answer was broken off. */
  readonly aborted: number;
  readonly openLines: number;
  /** `open` lines without their event, whose process lives. */
  readonly inProgress: number;
  /** The same of a process that is gone: counted as aborted, with estimated usage. */
  readonly lost: number;
  readonly tokens: { readonly input: number; readonly output: number };
  /** Of them, those in events with estimated usage; `lost` ones included. */
  readonly estimatedTokens: { readonly input: number; readonly output: number };
  /** Last lines without an end, of segments that are final: their answers were never completed. */
  readonly tornTails: readonly { readonly segment: string; readonly bytes: number }[];
  /** Lines being written as we looked. */
  readonly unfinishedTails: number;
  readonly problemCount: number;
  /** The first ones. */
  readonly problems: readonly JournalProblem[];
}

/** Reads every segment of a data directory, also one in use, and says what is in it. Changes nothing. */
export function auditJournal(dataDirectory: string): JournalReport {
  const directory = join(dataDirectory, DATA_FILES.journal);
  const names = readdirSync(directory).toSorted();
  // Looked at before the segments are read: what ends meanwhile is taken for alive, which claims less.
  const living = heldLocks(join(dataDirectory, DATA_FILES.writers));
  const audit = new Audit();
  const segments = names.map((name) => parseSegmentName(name)).filter((segment) => segment !== null);
  const known = new Set(segments.map(({ name }) => name));
  for (const name of names) if (!known.has(name)) audit.problem(name, null, 'not a journal segment');
  for (const segment of segments) {
    const isFinal = isSegmentFinal(segment, segments, living);
    audit.read(segment, join(directory, segment.name), { isFinal, isGone: isWriterGone(segment, segments, living) });
  }
  return audit.report(living.size);
}

class Audit {
  #segments = 0;
  #bytes = 0;
  #events = 0;
  #completed = 0;
  #failed = 0;
  #aborted = 0;
  #openLines = 0;
  #unfinishedTails = 0;
  #problemCount = 0;
  readonly #tokens = { input: 0, output: 0 };
  readonly #estimatedTokens = { input: 0, output: 0 };
  readonly #tornTails: { segment: string; bytes: number }[] = [];
  readonly #problems: JournalProblem[] = [];
  readonly #ids: readonly Set<string>[] = Array.from({ length: ID_SETS }, () => new Set<string>());
  /** Without their event so far. */
  readonly #open = new Map<string, { readonly line: OpenEvent; readonly isGone: boolean }>();

  read(segment: SegmentName, path: string, state: { readonly isFinal: boolean; readonly isGone: boolean }): void {
    this.#segments += 1;
    try {
      const tail = readSegment(path, (line, offset) => {
        this.#line(segment.name, line, offset, state.isGone);
      });
      this.#bytes += tail.offset + tail.bytes;
      if (tail.bytes === 0) return;
      if (state.isFinal) this.#tornTails.push({ segment: segment.name, bytes: tail.bytes });
      else this.#unfinishedTails += 1;
    } catch (error) {
      // Ingested and deleted since the directory was read.
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
      this.problem(segment.name, null, error instanceof Error ? error.message : String(error));
    }
  }

  problem(segment: string, offset: number | null, problem: string): void {
    this.#problemCount += 1;
    if (this.#problems.length < MAX_NAMED) this.#problems.push({ segment, offset, problem });
  }

  report(livingProcesses: number): JournalReport {
    let lost = 0;
    for (const { line, isGone } of this.#open.values()) {
      if (!isGone) continue;
      lost += 1;
      this.#countTokens(abortedEvent(line));
    }
    return {
      segments: this.#segments,
      bytes: this.#bytes,
      livingProcesses,
      events: this.#events,
      completed: this.#completed,
      failed: this.#failed,
      aborted: this.#aborted,
      openLines: this.#openLines,
      inProgress: this.#open.size - lost,
      lost,
      tokens: this.#tokens,
      estimatedTokens: this.#estimatedTokens,
      tornTails: this.#tornTails,
      unfinishedTails: this.#unfinishedTails,
      problemCount: this.#problemCount,
      problems: this.#problems,
    };
  }

  #line(segment: string, line: JournalLine, offset: number, isGone: boolean): void {
    switch (line.kind) {
      case 'event':
        this.#event(segment, line.event, offset);
        return;
      case 'open':
        this.#openLine(segment, line.open, offset, isGone);
        return;
      case 'empty':
        return;
      case 'invalid':
        this.problem(segment, offset, line.problem);
        return;
      default:
        line satisfies never;
    }
  }

  #event(segment: string, event: UsageEvent, offset: number): void {
    const ids = this.#idsLike(event.id);
    if (ids.has(event.id)) {
      this.problem(segment, offset, `a second event with id ${event.id}`);
      return;
    }
    ids.add(event.id);
    this.#open.delete(event.id);
    this.#events += 1;
    if (event.aborted !== null) this.#aborted += 1;
    else if (event.error === null && event.status >= 100 && event.status < 300) this.#completed += 1;
    else this.#failed += 1;
    this.#countTokens(event);
  }

  #openLine(segment: string, line: OpenEvent, offset: number, isGone: boolean): void {
    this.#openLines += 1;
    if (this.#open.has(line.open)) this.problem(segment, offset, `a second open line for id ${line.open}`);
    else if (this.#idsLike(line.open).has(line.open))
      this.problem(segment, offset, `an open line after its event, id ${line.open}`);
    else this.#open.set(line.open, { line, isGone });
  }

  #countTokens({ usage, usageSource }: UsageEvent): void {
    if (usage === null) return;
    const { inputTokens, outputTokens } = usage;
    this.#tokens.input += inputTokens;
    this.#tokens.output += outputTokens;
    if (usageSource !== 'estimated') return;
    this.#estimatedTokens.input += inputTokens;
    this.#estimatedTokens.output += outputTokens;
  }

  /** By the digits that count up. */
  #idsLike(id: string): Set<string> {
    return this.#ids[Number.parseInt(id.slice(-2), 16) % ID_SETS]!;
  }
}

/** Reads a segment in pieces. @returns where its last line without an end begins, and how long that is. */
function readSegment(
  path: string,
  visit: (line: JournalLine, offset: number) => void,
): { readonly offset: number; readonly bytes: number } {
  const fd = openSync(path, 'r');
  try {
    let buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    let offset = 0;
    let held = 0;
    for (;;) {
      if (held === buffer.length) buffer = Buffer.concat([buffer, Buffer.allocUnsafe(buffer.length)]);
      const read = readSync(fd, buffer, held, buffer.length - held, offset + held);
      if (read === 0) return { offset, bytes: held };
      const start = offset;
      const used = readJournalLines(buffer.subarray(0, held + read), (line, at) => {
        visit(line, start + at);
      });
      buffer.copy(buffer, 0, used, held + read);
      offset += used;
      held += read - used;
    }
  } finally {
    closeSync(fd);
  }
}
