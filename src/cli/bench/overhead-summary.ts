import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { cpuPerRequest, type ArmName, type ArmRound, type ProcessCpu } from './arm.ts';
import { quantilesOf } from './latency-recorder.ts';
import type { LoadResult, Quantiles } from './load-spec.ts';
import { bootstrap, median, quantile, type Estimate } from './statistics.ts';

/** A control ratio outside of these voids the run. */
const CONTROL_LOW = 0.9;
const CONTROL_HIGH = 1.1;
/** A rate counts as held when this share of it was reached in the median round. */
const HELD_SHARE = 0.99;
/** More than this share of requests written late by the generator itself makes a run client-bound. */
const MAX_LATE_SHARE = 0.05;
const SIDECAR = / sidecar( |$)/;

export type QuantileName = 'p50' | 'p90' | 'p99' | 'p999';
export const QUANTILE_NAMES: readonly QuantileName[] = ['p50', 'p90', 'p99', 'p999'];

/** Latencies of one kind through an arm: medians over the rounds, µs. */
export type QuantileRow = Readonly<Record<QuantileName, number>>;

/** Where a latency is taken from; in streams there are three. */
export const LATENCY_KINDS = ['latency', 'firstFrame', 'frame'] as const;
export type LatencyKind = (typeof LATENCY_KINDS)[number];

export interface AddedLatency {
  /** Median through minus median direct, µs. */
  readonly p50: Estimate;
  /** Lower quartile over the rounds of p99 through minus p99 direct, µs. */
  readonly p99LowerQuartile: Estimate;
  /** The same, median of the rounds: for the reader who wants to see the spread. */
  readonly p99Median: number;
  /** `p50` divided by HAProxy's; null without HAProxy. */
  readonly p50ToHaproxy: Estimate | null;
}

export interface ArmSummary {
  readonly arm: ArmName;
  readonly completed: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly failureNotes: readonly string[];
  /** Median over the rounds. */
  readonly achievedQps: number;
  readonly lateShare: number;
  readonly quantiles: Readonly<Record<LatencyKind, QuantileRow | null>>;
  /** Of all rounds together, µs: high quantiles of one short round rest on few values. */
  readonly pooled: Quantiles;
  readonly added: Readonly<Record<LatencyKind, AddedLatency | null>>;
  /** µs, median over the rounds; null where nothing of ours runs. */
  readonly cpuAll: Estimate | null;
  readonly cpuSidecar: Estimate | null;
  /** All but the threads that bring usage into the database. */
  readonly cpuServing: Estimate | null;
  readonly cpuServingToHaproxy: Estimate | null;
  readonly cpuAllToHaproxy: Estimate | null;
  readonly cpuSidecarToHaproxy: Estimate | null;
  /** Each process of the arm, medians over the rounds. */
  readonly processes: readonly ProcessCpu[];
  readonly mockCpuMicros: number;
  readonly generatorCpuMicros: number;
  /** Share of the machine's CPU time that went to others and to the kernel's network, median over the rounds. */
  readonly othersCpuShare: number;
}

export interface OverheadSummary {
  readonly arms: readonly ArmSummary[];
  /** Why the run does not count, in words; empty when it does. */
  readonly problems: readonly string[];
}

/** All figures of a run from its raw rounds. `qps` 0 = closed loop. */
export function summarizeOverhead(rounds: readonly ArmRound[], qps: number): OverheadSummary {
  const names = [...new Set(rounds.map(({ arm }) => arm))].sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));
  const byArm = new Map<ArmName, ArmRound[]>();
  for (const name of names) {
    byArm.set(
      name,
      rounds.filter(({ arm }) => arm === name).sort((a, b) => a.round - b.round),
    );
  }
  const arms = names.map((name) => summarizeArm(name, byArm));
  return { arms, problems: problemsOf(arms, qps) };
}

const ORDER: readonly ArmName[] = ['direct', 'haproxy', 'haproxy2', 'slipstream', 'target'];

function summarizeArm(name: ArmName, byArm: ReadonlyMap<ArmName, readonly ArmRound[]>): ArmSummary {
  const own = byArm.get(name) ?? [];
  const haproxy = byArm.get('haproxy');
  const hasProcesses = own.some(({ processes }) => processes.length > 0);
  const hasSidecar = own.some(({ processes }) => processes.some(({ command }) => SIDECAR.test(command)));
  const all = own.map((round) => cpuPerRequest(round));
  const serving = own.map((round) => cpuPerRequest(round) - round.databaseCpuMicros);
  const sidecar = own.map((round) => cpuPerRequest(round, SIDECAR));
  const floor = name === 'haproxy' ? undefined : haproxy?.map((round) => cpuPerRequest(round));
  return {
    arm: name,
    completed: own.reduce((sum, { load }) => sum + load.completed, 0),
    failures: sumFailures(own),
    failureNotes: own.flatMap(({ load }) => load.failureNotes).slice(0, 5),
    achievedQps: median(own.map(({ load }) => load.achievedQps)),
    lateShare: median(own.map(({ load }) => load.lateShare)),
    quantiles: perKind((kind) => quantileRow(own, kind)),
    pooled: pool(own),
    added: perKind((kind) => addedLatency(name, kind, byArm)),
    cpuAll: hasProcesses ? medianOf(all) : null,
    cpuSidecar: hasSidecar ? medianOf(sidecar) : null,
    cpuServing: hasSidecar ? medianOf(serving) : null,
    cpuServingToHaproxy: hasSidecar && floor !== undefined ? ratioOfMedians(serving, floor) : null,
    cpuAllToHaproxy: hasProcesses && floor !== undefined ? ratioOfMedians(all, floor) : null,
    cpuSidecarToHaproxy: hasSidecar && floor !== undefined ? ratioOfMedians(sidecar, floor) : null,
    processes: processMedians(own),
    mockCpuMicros: median(own.map((round) => round.mockCpuMicros)),
    generatorCpuMicros: median(own.map((round) => round.generatorCpuMicros)),
    othersCpuShare: median(own.map(({ load }) => load.othersCpuShare)),
  };
}

function addedLatency(
  name: ArmName,
  kind: LatencyKind,
  byArm: ReadonlyMap<ArmName, readonly ArmRound[]>,
): AddedLatency | null {
  const direct = byArm.get('direct');
  const own = byArm.get(name);
  if (name === 'direct' || direct === undefined || own === undefined) return null;
  const pick = (rounds: readonly ArmRound[], quantileName: QuantileName): number[] | null => {
    const rows = rounds.map(({ load }) => load[kind]);
    return rows.every((row) => row !== null) ? rows.map((row) => row[quantileName]) : null;
  };
  const [p50, directP50, p99, directP99] = [
    pick(own, 'p50'),
    pick(direct, 'p50'),
    pick(own, 'p99'),
    pick(direct, 'p99'),
  ];
  if (p50 === null || directP50 === null || p99 === null || directP99 === null) return null;

  const differences = p99.map((value, i) => value - (directP99[i] ?? Number.NaN));
  const haproxy = byArm.get('haproxy');
  const floor = haproxy === undefined || name === 'haproxy' ? null : pick(haproxy, 'p50');
  const added = (values: readonly number[], indices: readonly number[]): number =>
    median(at(values, indices)) - median(at(directP50, indices));
  return {
    p50: bootstrap(own.length, (indices) => added(p50, indices)),
    p99LowerQuartile: bootstrap(own.length, (indices) => quantile(at(differences, indices), 0.25)),
    p99Median: median(differences),
    p50ToHaproxy:
      floor === null ? null : bootstrap(own.length, (indices) => added(p50, indices) / added(floor, indices)),
  };
}

function problemsOf(arms: readonly ArmSummary[], qps: number): string[] {
  const problems: string[] = [];
  const direct = arms.find(({ arm }) => arm === 'direct');
  for (const { arm, achievedQps, failures, lateShare } of arms) {
    const failed = Object.entries(failures).map(([kind, count]) => `${count} × ${kind}`);
    if (failed.length > 0) problems.push(`${arm}: failures: ${failed.join(', ')}`);
    if (qps === 0) continue;
    const isHeld = achievedQps >= qps * HELD_SHARE;
    const isClientBound = arm === 'direct' || (direct === undefined && lateShare > MAX_LATE_SHARE);
    if (!isHeld) {
      const who = isClientBound ? 'client-bound: this machine can not send it' : `${arm} can not take it`;
      problems.push(`${arm}: ${achievedQps.toFixed(0)} of ${qps} requests per second: ${who}`);
    } else if (lateShare > MAX_LATE_SHARE) {
      problems.push(`${arm}: client-bound: the generator itself was late for ${(lateShare * 100).toFixed(1)} %`);
    }
  }
  problems.push(...controlProblems(arms, qps));
  return problems;
}

/** The second HAProxy, measured against the first as Slipstream is, must come out the same. */
function controlProblems(arms: readonly ArmSummary[], qps: number): string[] {
  const control = arms.find(({ arm }) => arm === 'haproxy2');
  if (control === undefined) return [];
  // A stream's whole length is the mock's timers: its proxies add to frames, and those are compared.
  const kinds: readonly LatencyKind[] = control.quantiles.frame === null ? ['latency'] : ['firstFrame', 'frame'];
  const ratios =
    qps === 0
      ? [['CPU per request', control.cpuAllToHaproxy] as const]
      : kinds.map((kind) => [`added ${kind} p50`, control.added[kind]?.p50ToHaproxy ?? null] as const);
  return ratios.flatMap(([what, ratio]) =>
    ratio === null || (ratio.value >= CONTROL_LOW && ratio.value <= CONTROL_HIGH)
      ? []
      : [`void: two equal HAProxies differ, ${what}: ratio ${ratio.value.toFixed(2)}`],
  );
}

function quantileRow(rounds: readonly ArmRound[], kind: LatencyKind): QuantileRow | null {
  const rows = rounds.map(({ load }: { load: LoadResult }) => load[kind]);
  if (rows.length === 0 || rows.some((row) => row === null)) return null;
  const of = (name: QuantileName): number => median(rows.map((row) => row?.[name] ?? Number.NaN));
  return { p50: of('p50'), p90: of('p90'), p99: of('p99'), p999: of('p999') };
}

function pool(rounds: readonly ArmRound[]): Quantiles {
  const [first, ...others] = rounds.map(({ load }) => decodeFromCompressedBase64(load.latencyHistogram, 32, false));
  if (first === undefined) throw new TypeError('no round to pool');
  for (const other of others) first.add(other);
  return quantilesOf(first);
}

/** A child that was replaced between two rounds is not a row of its own: commands are what counts. */
function processMedians(rounds: readonly ArmRound[]): ProcessCpu[] {
  const byCommand = new Map<string, number[]>();
  for (const { processes } of rounds) {
    for (const { command, cpuMicrosPerRequest } of processes) {
      const values = byCommand.get(command);
      if (values === undefined) byCommand.set(command, [cpuMicrosPerRequest]);
      else values.push(cpuMicrosPerRequest);
    }
  }
  return [...byCommand].map(([command, values]) => ({ command, cpuMicrosPerRequest: median(values) }));
}

function sumFailures(rounds: readonly ArmRound[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { load } of rounds) {
    for (const [kind, count] of Object.entries(load.failures)) sums[kind] = (sums[kind] ?? 0) + count;
  }
  return sums;
}

function medianOf(values: readonly number[]): Estimate {
  return bootstrap(values.length, (indices) => median(at(values, indices)));
}

function ratioOfMedians(values: readonly number[], others: readonly number[]): Estimate {
  return bootstrap(values.length, (indices) => median(at(values, indices)) / median(at(others, indices)));
}

function at(values: readonly number[], indices: readonly number[]): number[] {
  return indices.map((i) => values[i] ?? Number.NaN);
}

function perKind<T>(make: (kind: LatencyKind) => T): Record<LatencyKind, T> {
  return { latency: make('latency'), firstFrame: make('firstFrame'), frame: make('frame') };
}
