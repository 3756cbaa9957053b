/**
 * How many bytes all segments take, known to every worker: `[0]` is what the main thread last counted on disk, minus
 * what the workers had said by then; `[1 + n]` is what worker n has written since the start of the process. Each cell
 * has one writer. A worker that takes another's place goes on with its cell.
 */
export type JournalSpaceCells = Float64Array<SharedArrayBuffer>;

export function newJournalSpaceCells(workerCount: number): JournalSpaceCells {
  return new Float64Array(new SharedArrayBuffer((1 + workerCount) * Float64Array.BYTES_PER_ELEMENT));
}

/** One worker's view. */
export class JournalSpace {
  readonly #cells: JournalSpaceCells;
  readonly #own: number;

  constructor(cells: JournalSpaceCells, workerIndex: number) {
    this.#cells = cells;
    this.#own = 1 + workerIndex;
  }

  /** This worker has written `bytes`. */
  add(bytes: number): void {
    this.#cells[this.#own] = this.#cells[this.#own]! + bytes;
  }

  /** At most some seconds old where segments were deleted, at most a tick where they grew. */
  get totalBytes(): number {
    let total = 0;
    for (const bytes of this.#cells) total += bytes;
    return total;
  }
}

/** The main thread has found `bytesOnDisk`, having seen `writtenBefore` (see `writtenByWorkers`) before it looked. */
export function setBytesOnDisk(cells: JournalSpaceCells, bytesOnDisk: number, writtenBefore: number): void {
  cells[0] = bytesOnDisk - writtenBefore;
}

export function writtenByWorkers(cells: JournalSpaceCells): number {
  let written = 0;
  for (let index = 1; index < cells.length; index += 1) written += cells[index]!;
  return written;
}
