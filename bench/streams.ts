// npm run bench:streams [-- --streams 50,100,… --seconds 10 --against haproxy --tls]
// Streams that run at once, 50 frames per second each, none of them lost: how many through each way.
import type { Arm, ArmRound } from '../src/cli/bench/arm.ts';
import { measureArm, probeArms } from '../src/cli/bench/arm.ts';
import { haproxyVersion } from '../src/cli/bench/bench-processes.ts';
import type { Cleanup } from '../src/cli/bench/cleanup.ts';
import { LoadGenerator } from '../src/cli/bench/load-generator.ts';
import { startArms } from '../src/cli/bench/overhead.ts';
import { overheadOptions, runScript, takeNumbers } from './bench-script.ts';

const STREAMS = [50, 100, 200, 300, 400, 500];
const FRAME_INTERVAL_MS = 20;
const DEFAULT_SECONDS = 10;

await runScript('bench:streams', streams);

async function streams(argv: readonly string[], cleanup: Cleanup): Promise<number> {
  const { numbers: counts, rest: withSeconds } = takeNumbers(argv, '--streams', STREAMS);
  const { numbers, rest } = takeNumbers(withSeconds, '--seconds', [DEFAULT_SECONDS]);
  const frames = Math.round(((numbers[0] ?? DEFAULT_SECONDS) * 1000) / FRAME_INTERVAL_MS);
  const options = overheadOptions(
    [...rest, '--stream'],
    [
      ['--qps', '0'],
      ['--seconds', '1'],
      ['--tokens', String(frames)],
      ['--token-interval-ms', String(FRAME_INTERVAL_MS)],
      ['--threads', '1'],
    ],
  );
  if (options.withHaproxy) print(haproxyVersion());
  const generator = new LoadGenerator(options.cpusLoad);
  cleanup.add(() => generator.stop());
  const arms = (await startArms(options, cleanup)).filter(({ name }) => name !== 'haproxy2');
  const lengths = await probeArms(generator, arms, options.shape);
  // Each connection sends one request at the start and, its stream being longer than the load, no second one.
  const measure = async (arm: Arm, count: number): Promise<ArmRound> => {
    const shape = { ...options.shape, connections: count, seconds: 1, warmUpSeconds: 0 };
    return measureArm(generator, arm, { shape, expectedBodyBytes: lengths.get(arm.name) ?? null, round: 0 });
  };

  print(
    `streams of ${frames} frames, one every ${FRAME_INTERVAL_MS} ms; every stream's length, nonce and last event are checked`,
  );
  print(
    `${'streams'.padStart(8)}  ${'arm'.padEnd(11)}${'complete'.padStart(9)}${'first frame p50 µs'.padStart(20)}${'frame p50 µs'.padStart(14)}${'frame p99 µs'.padStart(14)}  verdict`,
  );
  const highest = new Map<string, number>();
  for (const count of counts) {
    for (const arm of arms) {
      const round = await measure(arm, count);
      const isHeld = holds(round, count);
      if (isHeld) highest.set(arm.name, count);
      print(row(count, round, isHeld));
    }
  }
  for (const { name } of arms) print(`${name}: ${highest.get(name) ?? 0} streams at once`);
  return (highest.get('slipstream') ?? 0) >= (highest.get('direct') ?? 0) ? 0 : 1;
}

/** Nothing lost, and of a hundred frames 99 are there before the next one is due. */
function holds({ load }: ArmRound, count: number): boolean {
  const isComplete = load.completed === count && Object.keys(load.failures).length === 0;
  return isComplete && (load.frame?.p99 ?? Infinity) < FRAME_INTERVAL_MS * 1000;
}

function row(count: number, { arm, load }: ArmRound, isHeld: boolean): string {
  const micros = (value: number | undefined): string => (value ?? Number.NaN).toFixed(0);
  const failed = Object.entries(load.failures).map(([kind, times]) => `${times} × ${kind}`);
  const verdict = isHeld ? 'held' : `not held ${failed.join(', ')}`;
  return (
    `${String(count).padStart(8)}  ${arm.padEnd(11)}${String(load.completed).padStart(9)}` +
    `${micros(load.firstFrame?.p50).padStart(20)}${micros(load.frame?.p50).padStart(14)}${micros(load.frame?.p99).padStart(14)}  ${verdict}`
  );
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
