// npm run bench:steps [-- --rates 4000,8000,… --seconds 30 --cpus-gateway 0 --cpus-load 1 --tls]
// The highest rate that is held without a failure, the gateway on one CPU, mock and generator on another.
import { availableParallelism } from 'node:os';
import { measureArm, probeArms, type Arm, type ArmRound } from '../src/cli/bench/arm.ts';
import { startMockProcess } from '../src/cli/bench/bench-processes.ts';
import type { Cleanup } from '../src/cli/bench/cleanup.ts';
import { LoadGenerator } from '../src/cli/bench/load-generator.ts';
import { directArm, startGatewayArm } from '../src/cli/bench/overhead.ts';
import { overheadOptions, runScript, takeNumbers } from './bench-script.ts';

const RATES = [4000, 8000, 12_000, 16_000, 20_000];
/** A rate counts as held when this share of it was reached. */
const HELD_SHARE = 0.99;
/** What direct must show first: that generator and mock can do it at all. */
const DIRECT_SECONDS = 5;
const SIDECAR = / sidecar( |$)/;

await runScript('bench:steps', steps);

async function steps(argv: readonly string[], cleanup: Cleanup): Promise<number> {
  const { numbers: rates, rest } = takeNumbers(argv, '--rates', RATES);
  const cpus =
    availableParallelism() > 1
      ? ([
          ['--cpus-gateway', '0'],
          ['--cpus-load', '1'],
        ] as const)
      : [];
  const options = overheadOptions(rest, [['--seconds', '30'], ['--threads', '1'], ['--connections', '64'], ...cpus]);
  const generator = new LoadGenerator(options.cpusLoad);
  cleanup.add(() => generator.stop());
  const mock = await startMockProcess(options.mockFlags, options.cpusLoad, cleanup);
  const direct = directArm(mock, options.isTls);
  const gateway = await startGatewayArm({ ...options, isWarm: true }, mock, cleanup);
  const lengths = await probeArms(generator, [direct, gateway], options.shape);
  const measure = async (arm: Arm, qps: number, seconds: number): Promise<ArmRound> => {
    const shape = { ...options.shape, qps, seconds };
    return measureArm(generator, arm, { shape, expectedBodyBytes: lengths.get(arm.name) ?? null, round: 0 });
  };

  print(
    `gateway on CPUs ${options.cpusGateway ?? 'any'}, mock and generator on ${options.cpusLoad ?? 'any'}; ${options.shape.seconds} s each`,
  );
  print(
    `${'rate'.padStart(7)}${'replies/s'.padStart(11)}${'failures'.padStart(10)}${'p50 µs'.padStart(9)}${'p99 µs'.padStart(9)}${'sidecar idle'.padStart(14)}  verdict`,
  );
  let highest = 0;
  for (const rate of rates) {
    const bare = await measure(direct, rate, Math.min(DIRECT_SECONDS, options.shape.seconds));
    const through = await measure(gateway, rate, options.shape.seconds);
    const isHeld = holds(through, rate);
    if (isHeld) highest = Math.max(highest, rate);
    const verdict = isHeld ? 'held' : holds(bare, rate) ? 'not held' : 'client-bound: direct does not hold it either';
    print(row(rate, through, verdict));
  }
  print(`highest rate held: ${highest}`);
  return highest > 0 ? 0 : 1;
}

function holds({ load }: ArmRound, rate: number): boolean {
  return Object.keys(load.failures).length === 0 && load.achievedQps >= rate * HELD_SHARE;
}

function row(rate: number, round: ArmRound, verdict: string): string {
  const { load, processes } = round;
  const failures = Object.values(load.failures).reduce((sum, count) => sum + count, 0);
  const micros = processes
    .filter(({ command }) => SIDECAR.test(command))
    .reduce((sum, { cpuMicrosPerRequest }) => sum + cpuMicrosPerRequest, 0);
  // One thread: what is left of its CPU.
  const idle = `${Math.max(0, 100 - (micros * load.achievedQps) / 1e4).toFixed(0)} %`;
  const cells = [
    load.achievedQps.toFixed(0).padStart(11),
    String(failures).padStart(10),
    load.latency.p50.toFixed(0).padStart(9),
  ];
  return `${String(rate).padStart(7)}${cells.join('')}${load.latency.p99.toFixed(0).padStart(9)}${idle.padStart(14)}  ${verdict}`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
