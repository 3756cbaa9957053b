import { invariant } from '../base/invariant.ts';

export type MetricKind = 'counter' | 'gauge' | 'histogram';

/** What all series of one name share. */
export interface MetricFamily {
  readonly kind: MetricKind;
  /** Prometheus name; counters end in `_total`, times in `_seconds`. */
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** Upper bounds of a histogram's buckets, ascending, without +Inf; empty for other kinds. */
  readonly bounds: readonly number[];
}

/** Where one series has its cells: `buffer` holds 64-bit floats, the first of this series is number `index`. */
export interface MetricRegistration {
  readonly family: MetricFamily;
  readonly labelValues: readonly string[];
  readonly buffer: SharedArrayBuffer;
  readonly index: number;
}

/** A label tuple beyond the limit of its family is counted here. */
export const OTHER_LABEL = 'other';

/** 64 KiB a block. A histogram's cells lie in one block. */
const CELLS_PER_BLOCK = 8192;
const DEFAULT_MAX_SERIES = 2000;
const REGISTRATIONS_PER_BATCH = 500;

export interface MetricsRegistryOptions {
  /**
   * Takes what is new, at most 500 at a time, one batch per turn of the loop so that a large snapshot doesn't hold up
   * the worker. Hand them to `MetricsReader.accept`, with `postMessage` when the reader is in another thread.
   */
  readonly publish: (registrations: readonly MetricRegistration[]) => void;
  /** Label tuples per family; default 2,000. */
  readonly maxSeriesPerFamily?: number;
}

/**
 * The metrics of one thread. Each thread has its own registry, blocks and slots; nothing is agreed upon between threads,
 * a reader learns from the registrations where each series lies and adds them up. Ask for families and cells when a
 * snapshot is built, never per request: `add`, `set` and `observe` are array stores only.
 *
 * Cells are written without atomics: each has one writer, aligned 64-bit stores aren't torn on x64 and arm64, and the
 * reader may see a value some nanoseconds late.
 */
export class MetricsRegistry {
  readonly #publish: (registrations: readonly MetricRegistration[]) => void;
  readonly #maxSeries: number;
  readonly #families: Map<string, CellFamily<unknown>>;
  #block: Float64Array<SharedArrayBuffer>;
  #usedCells: number;
  #pending: MetricRegistration[];
  #flush: NodeJS.Immediate | null;

  constructor(options: MetricsRegistryOptions) {
    this.#publish = options.publish;
    this.#maxSeries = options.maxSeriesPerFamily ?? DEFAULT_MAX_SERIES;
    this.#families = new Map();
    this.#block = newBlock(CELLS_PER_BLOCK);
    this.#usedCells = 0;
    this.#pending = [];
    this.#flush = null;
  }

  counter(name: string, help: string, labelNames: readonly string[] = []): CellFamily<CounterCell> {
    const family: MetricFamily = { kind: 'counter', name, help, labelNames, bounds: [] };
    return this.#family(family, (values) => new CounterCell(...this.#allocate(family, values, 1)));
  }

  /** Summed over the threads: use it for amounts each thread has its own part of. */
  gauge(name: string, help: string, labelNames: readonly string[] = []): CellFamily<GaugeCell> {
    const family: MetricFamily = { kind: 'gauge', name, help, labelNames, bounds: [] };
    return this.#family(family, (values) => new GaugeCell(...this.#allocate(family, values, 1)));
  }

  histogram(
    name: string,
    help: string,
    labelNames: readonly string[],
    bounds: readonly number[],
  ): CellFamily<HistogramCell> {
    const family: MetricFamily = { kind: 'histogram', name, help, labelNames, bounds };
    const ordered = Float64Array.from(bounds);
    invariant(
      ordered.every((bound, i) => i === 0 || bound > Number(ordered[i - 1])),
      'histogram bounds ascend',
    );
    // One cell per bucket, +Inf included, and the sum.
    return this.#family(family, (values) => {
      return new HistogramCell(...this.#allocate(family, values, bounds.length + 2), ordered);
    });
  }

  /** Publishes what waits, at once. */
  flush(): void {
    if (this.#flush !== null) clearImmediate(this.#flush);
    this.#flush = null;
    while (this.#pending.length > 0) this.#publishBatch();
  }

  #family<Cell>(family: MetricFamily, create: (labelValues: readonly string[]) => Cell): CellFamily<Cell> {
    const known = this.#families.get(family.name);
    if (known !== undefined) {
      invariant(sameFamily(known.family, family), 'a metric name stands for one family');
      return known as CellFamily<Cell>;
    }
    const created = new CellFamily(family, this.#maxSeries, create);
    this.#families.set(family.name, created);
    return created;
  }

  #allocate(family: MetricFamily, labelValues: readonly string[], cells: number): [Float64Array, number] {
    if (this.#usedCells + cells > this.#block.length) {
      this.#block = newBlock(Math.max(CELLS_PER_BLOCK, cells));
      this.#usedCells = 0;
    }
    const index = this.#usedCells;
    this.#usedCells += cells;
    this.#pending.push({ family, labelValues, buffer: this.#block.buffer, index });
    this.#flush ??= setImmediate(() => this.#flushOneBatch());
    return [this.#block, index];
  }

  #flushOneBatch(): void {
    this.#publishBatch();
    this.#flush = this.#pending.length > 0 ? setImmediate(() => this.#flushOneBatch()) : null;
  }

  #publishBatch(): void {
    this.#publish(this.#pending.splice(0, REGISTRATIONS_PER_BATCH));
  }
}

/** All series of one name. */
export class CellFamily<Cell> {
  readonly family: MetricFamily;
  readonly #maxSeries: number;
  readonly #create: (labelValues: readonly string[]) => Cell;
  readonly #cells: Map<string, Cell>;
  #other: Cell | null;

  constructor(family: MetricFamily, maxSeries: number, create: (labelValues: readonly string[]) => Cell) {
    this.family = family;
    this.#maxSeries = maxSeries;
    this.#create = create;
    this.#cells = new Map();
    this.#other = null;
  }

  /**
   * The cell of this label tuple: the same one whenever it is asked for, so counters survive a new snapshot. Once the
   * family is full, new tuples share one cell whose labels all read `other`.
   */
  cell(...labelValues: readonly string[]): Cell {
    invariant(labelValues.length === this.family.labelNames.length, 'one label value per label name');
    const key = labelValues.join('\u0000');
    const known = this.#cells.get(key);
    if (known !== undefined) return known;
    if (this.#cells.size >= this.#maxSeries) {
      this.#other ??= this.#create(labelValues.map(() => OTHER_LABEL));
      return this.#other;
    }
    const created = this.#create(labelValues);
    this.#cells.set(key, created);
    return created;
  }
}

export class CounterCell {
  readonly #cells: Float64Array;
  readonly #index: number;

  constructor(cells: Float64Array, index: number) {
    this.#cells = cells;
    this.#index = index;
  }

  /** `amount` must not be negative. */
  add(amount: number): void {
    this.#cells[this.#index] = (this.#cells[this.#index] as number) + amount;
  }
}

export class GaugeCell {
  readonly #cells: Float64Array;
  readonly #index: number;

  constructor(cells: Float64Array, index: number) {
    this.#cells = cells;
    this.#index = index;
  }

  /** This cell's alone, not of others by the same name. */
  get value(): number {
    return this.#cells[this.#index] as number;
  }

  add(amount: number): void {
    this.#cells[this.#index] = (this.#cells[this.#index] as number) + amount;
  }

  set(value: number): void {
    this.#cells[this.#index] = value;
  }
}

/**
 * Cells from `index` on: one count per bucket (not cumulative), +Inf last, then the sum.
 *
 *     | ≤ bound 0 | ≤ bound 1 | … | +Inf | sum |
 */
export class HistogramCell {
  readonly #cells: Float64Array;
  readonly #index: number;
  readonly #bounds: Float64Array;

  constructor(cells: Float64Array, index: number, bounds: Float64Array) {
    this.#cells = cells;
    this.#index = index;
    this.#bounds = bounds;
  }

  /** A negative value or NaN counts as 0: one bad clock reading must not spoil the sum for good. */
  observe(value: number): void {
    const amount = value >= 0 ? value : 0;
    const bounds = this.#bounds;
    const cells = this.#cells;
    let bucket = 0;
    while (bucket < bounds.length && amount > (bounds[bucket] as number)) bucket++;
    cells[this.#index + bucket] = (cells[this.#index + bucket] as number) + 1;
    const sumIndex = this.#index + bounds.length + 1;
    cells[sumIndex] = (cells[sumIndex] as number) + amount;
  }
}

function newBlock(cells: number): Float64Array<SharedArrayBuffer> {
  return new Float64Array(new SharedArrayBuffer(cells * Float64Array.BYTES_PER_ELEMENT));
}

/** Two registrations of a name must agree on all but the help text. */
export function sameFamily(a: MetricFamily, b: MetricFamily): boolean {
  return a.kind === b.kind && sameItems(a.labelNames, b.labelNames) && sameItems(a.bounds, b.bounds);
}

function sameItems<Item>(a: readonly Item[], b: readonly Item[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}
