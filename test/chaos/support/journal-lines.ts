import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readJournalLines } from '../../../src/contract/journal-reader.ts';
import type { OpenEvent, UsageEvent } from '../../../src/contract/usage-event.ts';

export interface JournalContent {
  readonly events: readonly UsageEvent[];
  /** Of streams that took long enough for one; each has an event too, unless its process was killed. */
  readonly opens: readonly OpenEvent[];
  /** Last lines without a newline: of a process that was killed, or of a disk that was full. They don't count. */
  readonly tornLines: number;
  /** Whole lines that are no event: there must be none. */
  readonly malformed: readonly string[];
}

/** All lines of a journal directory. */
export function readJournalDirectory(directory: string): JournalContent {
  const events: UsageEvent[] = [];
  const opens: OpenEvent[] = [];
  const malformed: string[] = [];
  let tornLines = 0;
  for (const name of readdirSync(directory)
    .filter((entry) => entry.endsWith('.ndjson'))
    .sort()) {
    const bytes = readFileSync(join(directory, name));
    const end = readJournalLines(bytes, (line, offset) => {
      if (line.kind === 'event') events.push(line.event);
      else if (line.kind === 'open') opens.push(line.open);
      else if (line.kind === 'invalid') malformed.push(`${name}, byte ${offset}: ${line.problem}`);
    });
    if (end < bytes.length) tornLines += 1;
  }
  return { events, opens, tornLines, malformed };
}
