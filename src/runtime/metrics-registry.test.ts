import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { MetricsReader } from './metrics-reader.ts';
import { MetricsRegistry } from './metrics-registry.ts';
import type { MetricRegistration } from './metrics-registry.ts';

function connected(reader: MetricsReader, source: string, maxSeriesPerFamily = 100): MetricsRegistry {
  return new MetricsRegistry({ publish: (batch) => reader.accept(source, batch), maxSeriesPerFamily });
}

function valueOf(text: string, series: string): number {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `));
  assert.ok(line !== undefined, `${series} is missing in\n${text}`);
  return Number(line.slice(series.length + 1));
}

describe('metrics', () => {
  it('sums counters and gauges over sources, whatever order they registered in', () => {
    const reader = new MetricsReader();
    const first = connected(reader, 'w0');
    const second = connected(reader, 'w1');
    const a = first.counter('requests_total', 'Requests.', ['model', 'status']);
    const b = second.counter('requests_total', 'Requests.', ['model', 'status']);
    a.cell('x', '200').add(2);
    a.cell('y', '200').add(5);
    b.cell('y', '200').add(7);
    b.cell('x', '200').add(3);
    first.gauge('in_flight', 'Now.').cell().set(4);
    second.gauge('in_flight', 'Now.').cell().add(-1);
    first.flush();
    second.flush();
    const text = reader.render();
    assert.equal(valueOf(text, 'requests_total{model="x",status="200"}'), 5);
    assert.equal(valueOf(text, 'requests_total{model="y",status="200"}'), 12);
    assert.equal(valueOf(text, 'in_flight'), 3);
    assert.equal(reader.value('requests_total', 'x', '200'), 5);
    assert.equal(reader.value('requests_total', 'z', '200'), null);
    assert.equal(text.split('# TYPE requests_total counter').length, 2);
  });

  it('renders cumulative histogram buckets; a value on a bound belongs to it', () => {
    const reader = new MetricsReader();
    const registry = connected(reader, 'w0');
    const cell = registry.histogram('duration_seconds', 'Time.', ['route'], [0.1, 1, 10]).cell('chat');
    for (const value of [0.1, 0.05, 0.5, 1, 100, Number.NaN, -3]) cell.observe(value);
    registry.flush();
    const text = reader.render();
    assert.equal(valueOf(text, 'duration_seconds_bucket{route="chat",le="0.1"}'), 4);
    assert.equal(valueOf(text, 'duration_seconds_bucket{route="chat",le="1"}'), 6);
    assert.equal(valueOf(text, 'duration_seconds_bucket{route="chat",le="10"}'), 6);
    assert.equal(valueOf(text, 'duration_seconds_bucket{route="chat",le="+Inf"}'), 7);
    assert.equal(valueOf(text, 'duration_seconds_count{route="chat"}'), 7);
    assert.ok(Math.abs(valueOf(text, 'duration_seconds_sum{route="chat"}') - 101.65) < 1e-9);
    assert.equal(reader.value('duration_seconds', 'chat'), 7);
  });

  it('gives the same cell for the same labels, and one shared cell beyond the limit', () => {
    const reader = new MetricsReader();
    const registry = connected(reader, 'w0', 3);
    const family = registry.counter('c_total', 'C.', ['model', 'team']);
    assert.equal(family.cell('m0', 't'), family.cell('m0', 't'));
    for (let i = 0; i < 10; i++) family.cell(`m${i}`, 't').add(1);
    registry.flush();
    const text = reader.render();
    assert.equal(valueOf(text, 'c_total{model="m2",team="t"}'), 1);
    assert.equal(valueOf(text, 'c_total{model="other",team="other"}'), 7);
    assert.equal(text.match(/^c_total/gm)?.length, 4);
  });

  it('keeps what a thread that ended had counted, and drops its gauges', () => {
    const reader = new MetricsReader();
    const registry = connected(reader, 'w0');
    registry.counter('c_total', 'C.').cell().add(5);
    registry.gauge('g', 'G.').cell().set(5);
    registry.histogram('h', 'H.', [], [1]).cell().observe(0.5);
    registry.flush();
    reader.detach('w0');
    const successor = connected(reader, 'w0-again');
    successor.counter('c_total', 'C.').cell().add(1);
    successor.flush();
    assert.equal(reader.value('c_total'), 6);
    assert.equal(reader.value('g'), 0);
    assert.equal(reader.value('h'), 1);
  });

  it('goes on over block borders with more series than one block holds', () => {
    const reader = new MetricsReader();
    const registry = connected(reader, 'w0', 100_000);
    const bounds = Array.from({ length: 30 }, (_, i) => i + 1);
    const family = registry.histogram('h', 'H.', ['n'], bounds);
    for (let i = 0; i < 600; i++) family.cell(String(i)).observe(i % 40);
    registry.flush();
    for (let i = 0; i < 600; i++) assert.equal(reader.value('h', String(i)), 1);
    assert.equal(valueOf(reader.render(), 'h_sum{n="599"}'), 599 % 40);
  });

  it('publishes by itself, in batches, without being asked', async () => {
    const batches: number[] = [];
    const registry = new MetricsRegistry({ publish: (batch) => batches.push(batch.length) });
    const family = registry.counter('c_total', 'C.', ['n']);
    for (let i = 0; i < 1100; i++) family.cell(String(i));
    assert.deepEqual(batches, []);
    while (batches.length < 3) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(batches, [500, 500, 100]);
  });

  it('escapes label values and help', () => {
    const reader = new MetricsReader();
    const registry = connected(reader, 'w0');
    registry.counter('c_total', 'Two\nlines.', ['l']).cell('a"b\\c\nd').add(1);
    registry.flush();
    const text = reader.render();
    assert.match(text, /^# HELP c_total Two\\nlines\.$/m);
    assert.match(text, /^c_total\{l="a\\"b\\\\c\\nd"\} 1$/m);
  });

  it('refuses a second meaning for a name', () => {
    const reader = new MetricsReader();
    const registry = connected(reader, 'w0');
    registry.counter('c_total', 'C.', ['a']);
    assert.throws(() => registry.gauge('c_total', 'C.', ['a']), /one family/);
    assert.throws(() => registry.counter('c_total', 'C.', ['b']), /one family/);
    assert.throws(() => registry.histogram('h', 'H.', [], [2, 1]), /ascend/);
  });

  it('runs collectors before rendering', () => {
    const reader = new MetricsReader();
    const registry = connected(reader, 'w0');
    const cell = registry.gauge('g', 'G.').cell();
    registry.flush();
    let calls = 0;
    reader.onCollect(() => cell.set(++calls));
    assert.equal(valueOf(reader.render(), 'g'), 1);
    assert.equal(valueOf(reader.render(), 'g'), 2);
  });

  it('reads the counts of real worker threads', async () => {
    const reader = new MetricsReader();
    const source = `
      const { parentPort } = require('node:worker_threads');
      import(${JSON.stringify(new URL('metrics-registry.ts', import.meta.url).href)}).then(({ MetricsRegistry }) => {
        const registry = new MetricsRegistry({ publish: (batch) => parentPort.postMessage(batch) });
        const cell = registry.counter('c_total', 'C.', ['n']).cell('1');
        for (let i = 0; i < 100_000; i++) cell.add(1);
        setTimeout(() => {}, 60_000);
      });`;
    const workers = [0, 1].map(() => new Worker(source, { eval: true }));
    const published = await Promise.all(workers.map((worker) => once(worker, 'message')));
    for (const [i, [batch]] of published.entries()) reader.accept(`w${i}`, batch as MetricRegistration[]);
    assert.equal(reader.value('c_total', '1'), 200_000);
    for (const worker of workers) await worker.terminate();
  });
});
