import { abortedEvent } from '../../contract/journal-reader.ts';
import type { OpenEvent } from '../../contract/usage-event.ts';
import { compilePrice } from '../../domain/pricing/compile-price.ts';
import { costOfUsage, NO_AMOUNTS } from '../../domain/pricing/cost-of-usage.ts';
import type { Price } from '../../domain/pricing/price.ts';
import type { ChunkLines } from './segment-chunk.ts';
import { type UsageRow, usageRow } from './usage-row.ts';

/** What becomes of the open lines when a chunk is written. */
export interface OpenChanges {
  /** Ended in this chunk, and open since an earlier one. */
  readonly ended: readonly string[];
  readonly begun: readonly OpenEvent[];
}

/**
 * @param ids of the events of the chunk.
 * @param known ids that this writer has open in the database.
 */
export function openChanges(
  { ids, opens }: Pick<ChunkLines, 'ids' | 'opens'>,
  known: ReadonlySet<string>,
): OpenChanges {
  if (opens.length === 0 && known.size === 0) return { ended: [], begun: [] };
  const over = new Set(ids);
  return {
    ended: [...known].filter((id) => over.has(id)),
    begun: opens.filter(({ open }) => !over.has(open) && !known.has(open)),
  };
}

/** By the id of the deployment; those that are not in it have no price, or one for each model behind a wildcard. */
export type DeploymentPrices = Readonly<Record<string, Price>>;

/**
 * The row of a request whose process ended before it did, with what its estimated usage costs today.
 *
 * @param line its open line, JSON.
 */
export function abortedRow(line: string, prices: DeploymentPrices): UsageRow {
  const event = abortedEvent(JSON.parse(line) as OpenEvent);
  const { deployment, usage, durationMs } = event;
  const price = deployment === null ? undefined : prices[deployment];
  if (price === undefined || usage === null) return usageRow(event);
  return usageRow({ ...event, costNano: costOfUsage(compilePrice(price), usage, { ...NO_AMOUNTS, durationMs }) });
}

/**
 * A row with this id is there already. It gives way only if it was made from an open line: then its process was taken for
 * gone, wrongly, and this is how the request did end.
 */
export function isCorrection(there: Pick<UsageRow, 'aborted'>, row: Pick<UsageRow, 'aborted'>): boolean {
  return there.aborted === PROCESS_ENDED && row.aborted !== PROCESS_ENDED;
}

/** It was made of an open line: no position in a journal stands for it. */
export function isFromOpen({ aborted }: Pick<UsageRow, 'aborted'>): boolean {
  return aborted === PROCESS_ENDED;
}

/** The columns have not kept them; of a row that `row` takes the place of they are the same. */
export function budgetsOf({ budgets }: Pick<UsageRow, 'budgets'>): Pick<UsageRow, 'budgets'> {
  return budgets === undefined ? {} : { budgets };
}

/** UUID of the node that a writer is of. */
export function nodeOf(writer: string): string {
  return writer.slice(0, UUID_LENGTH);
}

const UUID_LENGTH = 36;
const PROCESS_ENDED = 'process_ended';
