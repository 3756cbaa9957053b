import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UsageEvent } from '../../../src/contract/usage-event.ts';

export interface JournalContent {
  readonly events: readonly UsageEvent[];
  /** Last lines without a newline: of a process that was killed, or of a disk that was full. They don't count. */
  readonly tornLines: number;
  /** Whole lines that are no event: there must be none. */
  readonly malformed: readonly string[];
}

/** All events of a journal directory. */
export function readJournalLines(directory: string): JournalContent {
  const events: UsageEvent[] = [];
  const malformed: string[] = [];
  let tornLines = 0;
  for (const name of readdirSync(directory)
    .filter((entry) => entry.endsWith('.ndjson'))
    .sort()) {
    const lines = readFileSync(join(directory, name), 'utf8').split('\n');
    if (lines.pop() !== '') tornLines += 1;
    for (const line of lines) {
      try {
        const event = JSON.parse(line) as UsageEvent;
        // What only says that a request is under way has no status.
        if (typeof event.id === 'string' && typeof event.status === 'number') events.push(event);
      } catch {
        malformed.push(`${name}: ${line.slice(0, 120)}`);
      }
    }
  }
  return { events, tornLines, malformed };
}
