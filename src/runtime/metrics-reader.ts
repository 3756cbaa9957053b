import { invariant } from '../base/invariant.ts';
import { sameFamily } from './metrics-registry.ts';
import type { MetricFamily, MetricRegistration } from './metrics-registry.ts';

/**
 * Adds up the cells of all threads' registries and renders them. A source is one thread's registry, named by the caller;
 * a replaced worker must come under a new name.
 */
export class MetricsReader {
  readonly #families: Map<string, FamilyView>;
  readonly #collectors: (() => void)[];

  constructor() {
    this.#families = new Map();
    this.#collectors = [];
  }

  /** Takes in what a registry published. */
  accept(source: string, registrations: readonly MetricRegistration[]): void {
    for (const registration of registrations) {
      const { family } = registration;
      let view = this.#families.get(family.name);
      if (view === undefined) {
        view = new FamilyView(family);
        this.#families.set(family.name, view);
      }
      invariant(sameFamily(view.family, family), 'a metric name stands for one family in every thread');
      view.seriesOf(registration.labelValues).attach(source, registration);
    }
  }

  /** The thread has ended: its counts stay, so counters never fall; its part of the gauges goes. */
  detach(source: string): void {
    for (const view of this.#families.values()) {
      for (const series of view.series.values()) series.detach(source, view.family.kind !== 'gauge');
    }
  }

  /** `collector` runs before each rendering: the place to set gauges that are costly to keep up to date. */
  onCollect(collector: () => void): void {
    this.#collectors.push(collector);
  }

  /** Sum over all threads of the series, null if there is none. For a histogram: the number of observations. */
  value(name: string, ...labelValues: readonly string[]): number | null {
    const view = this.#families.get(name);
    const series = view?.series.get(labelValues.join('\u0000'));
    if (view === undefined || series === undefined) return null;
    const cells = series.sum();
    if (view.family.kind !== 'histogram') return cells[0] ?? null;
    return cells.subarray(0, -1).reduce((total, count) => total + count, 0);
  }

  /** Prometheus text exposition format 0.0.4. */
  render(): string {
    for (const collect of this.#collectors) collect();
    let text = '';
    for (const view of this.#families.values()) text += view.render();
    return text;
  }
}

class FamilyView {
  readonly family: MetricFamily;
  /** By label values. */
  readonly series: Map<string, SeriesView>;

  constructor(family: MetricFamily) {
    this.family = family;
    this.series = new Map();
  }

  seriesOf(labelValues: readonly string[]): SeriesView {
    const key = labelValues.join('\u0000');
    let series = this.series.get(key);
    if (series === undefined) {
      const cells = this.family.kind === 'histogram' ? this.family.bounds.length + 2 : 1;
      series = new SeriesView(renderLabels(this.family.labelNames, labelValues), cells);
      this.series.set(key, series);
    }
    return series;
  }

  render(): string {
    const { name, help, kind } = this.family;
    let text = `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${kind}\n`;
    for (const series of this.series.values()) {
      if (kind === 'histogram') text += renderHistogram(this.family, series);
      else text += `${name}${braced(series.labels)} ${series.sum()[0]}\n`;
    }
    return text;
  }
}

class SeriesView {
  /** `a="x",b="y"`, without braces. */
  readonly labels: string;
  readonly #cells: number;
  readonly #attached: Map<string, Float64Array>;
  /** What threads that have ended had counted. */
  #retired: Float64Array | null;

  constructor(labels: string, cells: number) {
    this.labels = labels;
    this.#cells = cells;
    this.#attached = new Map();
    this.#retired = null;
  }

  attach(source: string, registration: MetricRegistration): void {
    invariant(!this.#attached.has(source), 'a source registers each series once');
    const byteOffset = registration.index * Float64Array.BYTES_PER_ELEMENT;
    this.#attached.set(source, new Float64Array(registration.buffer, byteOffset, this.#cells));
  }

  detach(source: string, keepsCounts: boolean): void {
    const cells = this.#attached.get(source);
    if (cells === undefined) return;
    this.#attached.delete(source);
    if (keepsCounts) addTo((this.#retired ??= new Float64Array(this.#cells)), cells);
  }

  sum(): Float64Array {
    const total = new Float64Array(this.#cells);
    if (this.#retired !== null) addTo(total, this.#retired);
    for (const cells of this.#attached.values()) addTo(total, cells);
    return total;
  }
}

function addTo(total: Float64Array, cells: Float64Array): void {
  for (let i = 0; i < total.length; i++) total[i] = Number(total[i]) + Number(cells[i]);
}

function renderHistogram(family: MetricFamily, series: SeriesView): string {
  const cells = series.sum();
  const prefix = series.labels === '' ? '' : `${series.labels},`;
  let text = '';
  let cumulative = 0;
  for (let i = 0; i <= family.bounds.length; i++) {
    cumulative += Number(cells[i]);
    text += `${family.name}_bucket{${prefix}le="${family.bounds[i] ?? '+Inf'}"} ${cumulative}\n`;
  }
  text += `${family.name}_sum${braced(series.labels)} ${cells[family.bounds.length + 1]}\n`;
  return `${text}${family.name}_count${braced(series.labels)} ${cumulative}\n`;
}

function renderLabels(names: readonly string[], values: readonly string[]): string {
  return names.map((name, i) => `${name}="${escapeLabel(values[i] ?? '')}"`).join(',');
}

function braced(labels: string): string {
  return labels === '' ? '' : `{${labels}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function escapeHelp(help: string): string {
  return help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
