import type { MachineDescription } from './machine.ts';
import {
  LATENCY_KINDS,
  QUANTILE_NAMES,
  type ArmSummary,
  type LatencyKind,
  type OverheadSummary,
} from './overhead-summary.ts';
import type { Estimate } from './statistics.ts';

const TITLES: Readonly<Record<LatencyKind, string>> = {
  latency: 'From the scheduled instant to the end of the reply',
  firstFrame: 'From the scheduled instant to the first frame',
  frame: "From the mock's clock in a frame to its arrival",
};

/** The kernel's own work for the network is in it too, so some of it is always there. */
const NOTABLE_OTHERS_SHARE = 0.15;

export interface ReportInput {
  readonly machine: MachineDescription;
  readonly summary: OverheadSummary;
  readonly haproxyVersion: string | null;
  readonly rounds: number;
  readonly qps: number;
  readonly seconds: number;
  readonly connections: number;
  readonly bodyBytes: number;
  readonly memory: readonly { readonly command: string; readonly rssBytes: number; readonly pssBytes: number }[];
}

/** The report as text. All times in µs. */
export function renderReport(input: ReportInput): string {
  const { machine, summary, qps } = input;
  const load = qps === 0 ? 'as fast as it goes' : `${qps} requests per second`;
  const lines = [
    `${machine.cpu}, ${machine.cpuCount} CPUs, ${gigabytes(machine.memoryBytes)}; ${machine.kernel}; Node ${machine.node}`,
    `load before the run ${machine.loadAverage.toFixed(2)}; commit ${machine.commit ?? 'unknown'}`,
  ];
  if (input.haproxyVersion !== null) lines.push(input.haproxyVersion);
  lines.push(
    `${load}, ${input.connections} connections, requests of ${input.bodyBytes} bytes; ` +
      `${input.rounds} rounds of ${input.seconds} s, order shuffled; medians over the rounds, [95 % interval]`,
  );
  for (const kind of LATENCY_KINDS) lines.push(...latencyTable(summary, kind, qps === 0));
  lines.push(...cpuTable(summary), ...throughputLines(summary, qps), ...failureLines(summary));
  if (input.memory.length > 0) {
    lines.push('', 'Memory after the run:');
    for (const { command, rssBytes, pssBytes } of input.memory) {
      lines.push(`  RSS ${megabytes(rssBytes)}, PSS ${megabytes(pssBytes)}: ${shorten(command)}`);
    }
  }
  lines.push('');
  const others = Math.max(...summary.arms.map(({ othersCpuShare }) => othersCpuShare));
  if (others > NOTABLE_OTHERS_SHARE) {
    lines.push(
      `Others used ${(others * 100).toFixed(0)} % of this machine's CPUs: its latencies are not the gateway's alone.`,
    );
  }
  const hasControl = summary.arms.some(({ arm }) => arm === 'haproxy2');
  const good = `no failure${qps === 0 ? '' : ', rate held'}${hasControl ? ', control within 0.9 to 1.1' : ''}`;
  if (summary.problems.length === 0) lines.push(`The run counts: ${good}.`);
  else lines.push('THE RUN DOES NOT COUNT:', ...summary.problems.map((problem) => `  ${problem}`));
  return `${lines.join('\n')}\n`;
}

function latencyTable(summary: OverheadSummary, kind: LatencyKind, isClosedLoop: boolean): string[] {
  const rows = summary.arms.filter(({ quantiles }) => quantiles[kind] !== null);
  if (rows.length === 0) return [];
  const lines = ['', `${TITLES[kind]}, µs:`, columns(['arm', 'p50', 'p90', 'p99', 'p99.9', 'p99.9 pooled', 'max'])];
  for (const { arm, quantiles, pooled } of rows) {
    const row = quantiles[kind];
    const values = QUANTILE_NAMES.map((name) => micros(row?.[name] ?? Number.NaN));
    const last = kind === 'latency' ? [micros(pooled.p999), micros(pooled.max)] : [];
    lines.push(columns([arm, ...values, ...last]));
  }
  if (isClosedLoop) return lines;
  const added = rows.filter((row) => row.added[kind] !== null);
  if (added.length === 0) return lines;
  lines.push('Added (difference of quantiles, which is not the quantile of differences):');
  for (const row of added) lines.push(addedLine(row, kind));
  return lines;
}

function addedLine(row: ArmSummary, kind: LatencyKind): string {
  const added = row.added[kind];
  if (added === null) return '';
  const ratio = added.p50ToHaproxy === null ? '' : `  = ${ratioText(added.p50ToHaproxy)} of HAProxy's`;
  return (
    `  ${row.arm.padEnd(11)}p50 ${estimate(added.p50)}${ratio}\n` +
    `  ${''.padEnd(11)}p99 ${estimate(added.p99LowerQuartile)} lower quartile of the rounds, median ${micros(added.p99Median)}`
  );
}

function cpuTable(summary: OverheadSummary): string[] {
  const lines = ['', 'CPU per request, µs:'];
  for (const row of summary.arms) {
    const { arm, cpuAll, cpuSidecar, cpuAllToHaproxy, cpuSidecarToHaproxy, processes } = row;
    if (cpuAll !== null) {
      const all = cpuAllToHaproxy === null ? '' : `  = ${ratioText(cpuAllToHaproxy)} of HAProxy's`;
      lines.push(`  ${arm.padEnd(11)}all its processes ${estimate(cpuAll)}${all}`);
    }
    if (cpuSidecar !== null) {
      const own = cpuSidecarToHaproxy === null ? '' : `  = ${ratioText(cpuSidecarToHaproxy)} of HAProxy's`;
      lines.push(`  ${''.padEnd(11)}sidecar alone ${estimate(cpuSidecar)}${own}`);
    }
    if (row.cpuServing !== null) {
      const own = row.cpuServingToHaproxy === null ? '' : `  = ${ratioText(row.cpuServingToHaproxy)} of HAProxy's`;
      lines.push(`  ${''.padEnd(11)}all but the database's threads ${estimate(row.cpuServing)}${own}`);
    }
    if (processes.length > 1) {
      for (const { command, cpuMicrosPerRequest } of processes) {
        lines.push(`  ${''.padEnd(13)}${micros(cpuMicrosPerRequest).padStart(7)}  ${shorten(command)}`);
      }
    }
    const others = `others on this machine ${(row.othersCpuShare * 100).toFixed(1)} % of its CPUs`;
    const tools = `mock ${micros(row.mockCpuMicros)}, generator ${micros(row.generatorCpuMicros)}`;
    lines.push(`  ${(cpuAll === null ? arm : '').padEnd(11)}${tools}; ${others}`);
  }
  return lines;
}

function throughputLines(summary: OverheadSummary, qps: number): string[] {
  const title =
    qps === 0 ? 'Replies per second:' : 'Rate held (replies per second; share written late by the generator):';
  const row = ({ arm, achievedQps, lateShare }: ArmSummary): string => {
    const late = qps === 0 ? '' : `  ${(lateShare * 100).toFixed(2)} %`;
    return `  ${arm.padEnd(11)}${achievedQps.toFixed(0).padStart(8)}${late}`;
  };
  return ['', title, ...summary.arms.map(row)];
}

function failureLines(summary: OverheadSummary): string[] {
  const lines = ['', 'Failures (status, length and nonce of every reply are checked):'];
  for (const { arm, completed, failures, failureNotes } of summary.arms) {
    const kinds = Object.entries(failures).map(([kind, count]) => `${count} × ${kind}`);
    lines.push(`  ${arm.padEnd(11)}${kinds.join(', ') || 'none'} (${completed} good replies)`);
    for (const note of failureNotes) lines.push(`             e.g. ${note}`);
  }
  return lines;
}

function columns(cells: readonly string[]): string {
  const [first = '', ...rest] = cells;
  return `  ${first.padEnd(11)}${rest.map((cell) => cell.padStart(13)).join('')}`;
}

function estimate({ value, low, high }: Estimate): string {
  return `${micros(value)} [${micros(low)}, ${micros(high)}]`;
}

function ratioText({ value, low, high }: Estimate): string {
  return `${value.toFixed(2)} × [${low.toFixed(2)}, ${high.toFixed(2)}]`;
}

function micros(value: number): string {
  return value.toFixed(1);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GB`;
}

function shorten(command: string): string {
  const words = command.split(' ').map((word) => word.slice(word.lastIndexOf('/') + 1));
  return words.join(' ').slice(0, 100);
}
