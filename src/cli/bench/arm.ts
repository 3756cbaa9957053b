import { buildRequest, type RequestShape, type RequestTarget } from './bench-request.ts';
import { BenchError } from './child-process.ts';
import type { LoadGenerator } from './load-generator.ts';
import type { LoadResult, LoadSpec, ProbeResult } from './load-spec.ts';
import { type CpuUser, processTree, readMemory, threadsNamed, type MemoryUse } from './process-stats.ts';

export const ARM_NAMES = ['direct', 'haproxy', 'haproxy2', 'slipstream', 'target'] as const;
export type ArmName = (typeof ARM_NAMES)[number];

/** SQLite's two, and the one that speaks to PostgreSQL. */
const DATABASE_THREAD = /^(?:sqlite-writer|sqlite-reader|ingestion)$/;

/** One way to the mock. */
export interface Arm {
  readonly name: ArmName;
  readonly target: RequestTarget & { readonly tlsServerName: string | null; readonly tlsVerify?: boolean };
  /** First process of what is between the generator and the mock; null = nothing of ours. */
  readonly rootPid: number | null;
  /** The mock's process; null when what is measured has none of ours. */
  readonly mockPid: number | null;
}

export interface LoadShape extends RequestShape {
  readonly connections: number;
  readonly qps: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly timeoutMs: number;
}

/** One arm's turn in one round. */
export interface ArmRound {
  readonly arm: ArmName;
  readonly round: number;
  readonly load: LoadResult;
  /** CPU µs per completed request of each process of the arm, by command line. */
  readonly processes: readonly ProcessCpu[];
  /**
   * Of these, CPU µs per completed request of the threads that bring usage into the database. They work at their own pace:
   * in a short run at full load most of that comes afterwards. `npm run bench:ingest` tells what an event costs.
   */
  readonly databaseCpuMicros: number;
  /** CPU µs per completed request of the mock and of the load generator. */
  readonly mockCpuMicros: number;
  readonly generatorCpuMicros: number;
}

export interface ProcessCpu {
  readonly command: string;
  readonly cpuMicrosPerRequest: number;
}

function loadSpec(arm: Arm, shape: LoadShape, expectedBodyBytes: number | null): LoadSpec {
  const request = buildRequest(arm.target, shape);
  return {
    host: arm.target.host,
    port: arm.target.port,
    tlsServerName: arm.target.tlsServerName,
    tlsVerify: arm.target.tlsVerify ?? true,
    request: request.bytes,
    // A provider that is not our mock doesn't send the nonce back.
    nonceAt: arm.name === 'target' ? -1 : request.nonceAt,
    connections: shape.connections,
    qps: shape.qps,
    seconds: shape.seconds,
    warmUpSeconds: shape.warmUpSeconds,
    isStream: shape.stream,
    expectedBodyBytes,
    timeoutMs: shape.timeoutMs,
    cpuUsers: [],
  };
}

/** Runs the arm once. */
export async function measureArm(
  generator: LoadGenerator,
  arm: Arm,
  turn: { readonly shape: LoadShape; readonly expectedBodyBytes: number | null; readonly round: number },
): Promise<ArmRound> {
  const tree = arm.rootPid === null ? [] : processTree(arm.rootPid);
  const databaseThreads = tree.flatMap(({ pid }) => threadsNamed(pid, DATABASE_THREAD));
  const cpuUsers: CpuUser[] = [...tree.map(({ pid }) => pid), ...databaseThreads];
  if (arm.mockPid !== null) cpuUsers.push(arm.mockPid);
  const spec = { ...loadSpec(arm, turn.shape, turn.expectedBodyBytes), cpuUsers };
  const load = await generator.run(spec);
  const perRequest = (seconds: number): number => (seconds / Math.max(1, load.completed)) * 1e6;
  return {
    arm: arm.name,
    round: turn.round,
    load,
    processes: tree.map(({ pid, command }) => ({
      command,
      cpuMicrosPerRequest: perRequest(load.cpuSeconds[pid] ?? 0),
    })),
    databaseCpuMicros: perRequest(
      databaseThreads.reduce<number>((sum, thread) => sum + (load.cpuSeconds[thread] ?? 0), 0),
    ),
    mockCpuMicros: perRequest(load.cpuSeconds[arm.mockPid ?? -1] ?? 0),
    generatorCpuMicros: perRequest(load.ownCpuSeconds),
  };
}

/** CPU µs per request of all processes, or of those whose command line matches. */
export function cpuPerRequest(round: ArmRound, only?: RegExp): number {
  let sum = 0;
  for (const { command, cpuMicrosPerRequest } of round.processes) {
    if (only === undefined || only.test(command)) sum += cpuMicrosPerRequest;
  }
  return sum;
}

export function armMemory(arm: Arm): ({ readonly command: string } & MemoryUse)[] {
  if (arm.rootPid === null) return [];
  return processTree(arm.rootPid).flatMap(({ pid, command }) => {
    const memory = readMemory(pid);
    return memory === null ? [] : [{ command, ...memory }];
  });
}

/**
 * One request through each arm before anything is measured. The replies must be equal in meaning; each arm's length is
 * what each of its later replies must have.
 *
 * @throws {BenchError} naming the arm and the difference.
 */
export async function probeArms(
  generator: LoadGenerator,
  arms: readonly Arm[],
  shape: LoadShape,
): Promise<Map<ArmName, number | null>> {
  const lengths = new Map<ArmName, number | null>();
  let reference: string | null = null;
  for (const arm of arms) {
    const reply = await generator.probe(loadSpec(arm, shape, null));
    if (reply.status !== 200) {
      throw new BenchError(`${arm.name}: status ${reply.status}: ${reply.body.slice(0, 300)}`);
    }
    const meaning = meaningOf(reply, shape.stream);
    reference ??= meaning;
    if (arm.name !== 'target' && meaning !== reference) {
      throw new BenchError(`${arm.name}: the reply differs from the direct one: ${difference(reference, meaning)}`);
    }
    lengths.set(arm.name, arm.name === 'target' ? null : Buffer.byteLength(reply.body));
  }
  return lengths;
}

/**
 * A reply without what may differ: the model's name, the clock in frames, and in streams `"usage":null`, which a provider
 * adds to each chunk when a gateway has asked for the usage.
 */
function meaningOf(reply: ProbeResult, isStream: boolean): string {
  const withoutNames = (key: string, value: unknown): unknown =>
    key === 'model' || key === 't' || (key === 'usage' && value === null) ? undefined : value;
  const normal = (json: string): string => JSON.stringify(JSON.parse(json), withoutNames);
  try {
    if (!isStream) return normal(reply.body);
    return reply.body
      .split('\n\n')
      .map((frame) => (frame.startsWith('data: {') ? normal(frame.slice('data: '.length)) : frame))
      .join('\n\n');
  } catch {
    throw new BenchError(`a reply is not JSON: ${reply.body.slice(0, 300)}`);
  }
}

function difference(one: string, other: string): string {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  const from = Math.max(0, at - 40);
  return `…${one.slice(from, at + 80)} | …${other.slice(from, at + 80)}`;
}
