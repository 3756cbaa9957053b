import { cpuPerRequest, type ArmRound, type LoadShape } from '../src/cli/bench/arm.ts';
import type { MachineDescription } from '../src/cli/bench/machine.ts';
import { bootstrap, median, type Estimate } from '../src/cli/bench/statistics.ts';

/** This tree, the ref, and the ref once more. */
export type Side = 'here' | 'ref' | 'control';

export interface CompareRound {
  readonly side: Side;
  readonly round: number;
  readonly measured: ArmRound;
}

/** One figure on both sides, and what one is of the other. */
export interface ComparedFigure {
  readonly name: string;
  readonly unit: string;
  readonly here: number;
  readonly ref: number;
  /** here / ref, medians over the rounds. */
  readonly ratio: Estimate;
  /** The ref measured again / ref: what this machine makes of no change at all. */
  readonly control: Estimate;
}

export interface Comparison {
  readonly figures: readonly ComparedFigure[];
  /** Why the run does not count; empty when it does. */
  readonly problems: readonly string[];
}

/** A control outside of these voids the figure it is for. */
const CONTROL_LOW = 0.9;
const CONTROL_HIGH = 1.1;
const SIDECAR = / sidecar( |$)/;

export function compareRounds(rounds: readonly CompareRound[], qps: number): Comparison {
  const values = (side: Side, of: (round: ArmRound) => number): number[] =>
    rounds
      .filter((entry) => entry.side === side)
      .sort((a, b) => a.round - b.round)
      .map(({ measured }) => of(measured));
  const hasSidecar = rounds.some(({ measured }) => measured.processes.some(({ command }) => SIDECAR.test(command)));
  const isStream = rounds.some(({ measured }) => measured.load.frame !== null);
  const cpu: FigureSpec[] = [
    {
      name: 'CPU of the sidecar',
      unit: 'µs/request',
      of: (round) => cpuPerRequest(round, hasSidecar ? SIDECAR : undefined),
    },
    { name: 'CPU of all processes', unit: 'µs/request', of: (round) => cpuPerRequest(round) },
  ];
  const latency: FigureSpec[] = isStream
    ? [
        { name: 'first frame p50', unit: 'µs', of: ({ load }) => load.firstFrame?.p50 ?? Number.NaN },
        { name: 'frame p50', unit: 'µs', of: ({ load }) => load.frame?.p50 ?? Number.NaN },
        { name: 'frame p99', unit: 'µs', of: ({ load }) => load.frame?.p99 ?? Number.NaN },
      ]
    : [
        { name: 'latency p50', unit: 'µs', of: ({ load }) => load.latency.p50 },
        { name: 'latency p99', unit: 'µs', of: ({ load }) => load.latency.p99 },
      ];
  const throughput: FigureSpec[] = [{ name: 'replies', unit: '/s', of: ({ load }) => load.achievedQps }];
  const figures = [...cpu, ...latency, ...(qps === 0 ? throughput : [])].map(({ name, unit, of }) => {
    const [here, ref, control] = [values('here', of), values('ref', of), values('control', of)];
    return {
      name,
      unit,
      here: median(here),
      ref: median(ref),
      ratio: ratioOfMedians(here, ref),
      control: ratioOfMedians(control, ref),
    };
  });
  return { figures, problems: problemsOf(rounds, figures) };
}

interface FigureSpec {
  readonly name: string;
  readonly unit: string;
  readonly of: (round: ArmRound) => number;
}

function problemsOf(rounds: readonly CompareRound[], figures: readonly ComparedFigure[]): string[] {
  const problems: string[] = [];
  for (const { side, round, measured } of rounds) {
    const failed = Object.entries(measured.load.failures).map(([kind, count]) => `${count} × ${kind}`);
    if (failed.length > 0) problems.push(`${side}, round ${round + 1}: ${failed.join(', ')}`);
  }
  // p99 of a short round is what else the machine did: told, but it voids nothing.
  for (const { name, control } of figures.filter((figure) => !figure.name.endsWith('p99'))) {
    if (control.value < CONTROL_LOW || control.value > CONTROL_HIGH) {
      problems.push(`void: ${name}: the ref against itself is ${control.value.toFixed(2)}`);
    }
  }
  return problems;
}

function ratioOfMedians(values: readonly number[], others: readonly number[]): Estimate {
  const at = (list: readonly number[], indices: readonly number[]): number[] =>
    indices.map((i) => list[i] ?? Number.NaN);
  return bootstrap(values.length, (indices) => median(at(values, indices)) / median(at(others, indices)));
}

export interface ComparisonReport {
  readonly title: string;
  readonly machine: MachineDescription;
  readonly summary: Comparison;
  readonly rounds: number;
  readonly shape: LoadShape;
}

export function renderComparison({ title, machine, summary, rounds, shape }: ComparisonReport): string {
  const load = shape.qps === 0 ? 'as fast as it goes' : `${shape.qps} requests per second`;
  const lines = [
    title,
    `${machine.cpu}, ${machine.cpuCount} CPUs; ${machine.kernel}; Node ${machine.node}; load before ${machine.loadAverage.toFixed(2)}`,
    `${load}, ${shape.connections} connections, requests of ${shape.bodyBytes} bytes; ${rounds} rounds of ${shape.seconds} s, fresh processes`,
    '',
    `${'medians'.padEnd(34)}${'ref'.padStart(10)}${'here'.padStart(10)}   ${'here / ref [95 %]'.padEnd(24)}ref / ref [95 %]`,
  ];
  for (const { name, unit, here, ref, ratio, control } of summary.figures) {
    lines.push(
      `${`${name}, ${unit}`.padEnd(34)}${ref.toFixed(1).padStart(10)}${here.toFixed(1).padStart(10)}   ` +
        `${estimate(ratio).padEnd(24)}${estimate(control)}`,
    );
  }
  lines.push('');
  if (summary.problems.length === 0) lines.push('The run counts: no failure, control within 0.9 to 1.1.');
  else lines.push('THE RUN DOES NOT COUNT:', ...summary.problems.map((problem) => `  ${problem}`));
  return `${lines.join('\n')}\n`;
}

function estimate({ value, low, high }: Estimate): string {
  return `${value.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
}
