// Nanoseconds per counter and histogram update, and milliseconds to render a large set.
import { MetricsReader } from '../../src/runtime/metrics-reader.ts';
import { MetricsRegistry } from '../../src/runtime/metrics-registry.ts';

const OPERATIONS = 5_000_000;
const RUNS = 7;

const reader = new MetricsReader();
const registry = new MetricsRegistry({ publish: (batch) => reader.accept('bench', batch), maxSeriesPerFamily: 10_000 });
const bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const counter = registry.counter('bench_total', 'Bench.', ['n']).cell('1');
const histogram = registry.histogram('bench_seconds', 'Bench.', ['n'], bounds);
const cell = histogram.cell('1');

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function nsPerOperation(operation: (i: number) => void): number {
  const runs: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const startedAt = process.hrtime.bigint();
    for (let i = 0; i < OPERATIONS; i++) operation(i);
    runs.push(Number(process.hrtime.bigint() - startedAt) / OPERATIONS);
  }
  return median(runs);
}

console.log(`counter.add        ${nsPerOperation(() => counter.add(1)).toFixed(2)} ns`);
console.log(`histogram.observe  ${nsPerOperation((i) => cell.observe((i & 1023) / 100)).toFixed(2)} ns`);

for (let i = 0; i < 2000; i++) histogram.cell(String(i)).observe(0.1);
registry.flush();
const renders: number[] = [];
for (let run = 0; run < RUNS; run++) {
  const startedAt = performance.now();
  reader.render();
  renders.push(performance.now() - startedAt);
}
console.log(`render, 2,000 histogram series  ${median(renders).toFixed(1)} ms`);
