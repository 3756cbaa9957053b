import { readCpuSeconds } from '../../src/cli/bench/process-stats.ts';
import { BenchLoad, otherFailures } from './support/bench-load.ts';
import type { Scenario } from './support/scenario.ts';

const CONNECTIONS = 1_000;
/** Far beyond what is left of a CPU. */
const OFFERED = 12_000;
const SPINNERS = 2;
const MAX_PEAK_MB = 350;
const RECOVERY_MS = 2_000;
/** Beside two that never rest a process gets a third. With less than this others are at work on the machine: no verdict. */
const MIN_CPU_SHARE = 0.25;
/** A request is quick again, on a CPU that is still shared. */
const QUICK_MS = 150;

export const scenario: Scenario = {
  name: 'starved',
  description:
    'a third of one CPU and far more load than that serves: it lives, its memory is bounded, it recovers in 2 s',
  modes: ['sidecar'],
  seconds: 6,
  run: async (context) => {
    const violations: string[] = [];
    const load = await BenchLoad.start(context, ['--tokens', '8'], []);
    const pid = load.servingPid();
    load.starve(SPINNERS);
    const parts = { qps: OFFERED, connections: CONNECTIONS, seconds: context.seconds, warmUpSeconds: 0 };
    const fromMs = performance.now();
    const cpuBefore = readCpuSeconds(pid) ?? 0;
    const result = await load.run(load.generator(), load.spec({ ...parts, timeoutMs: 4_000 }));
    const endedMs = performance.now();
    const cpuShare = ((readCpuSeconds(pid) ?? 0) - cpuBefore) / ((endedMs - fromMs) / 1000);
    if (cpuShare < MIN_CPU_SHARE) {
      violations.push(`void: the sidecar got ${(cpuShare * 100).toFixed(0)} % of a CPU, others are at work here`);
    }
    let afterMs = await load.oneRequestMs();
    while (afterMs > QUICK_MS && performance.now() - endedMs < RECOVERY_MS) afterMs = await load.oneRequestMs();
    const recoveredMs = performance.now() - endedMs;
    if (afterMs > QUICK_MS) violations.push(`after ${RECOVERY_MS} ms a request still takes ${afterMs} ms`);
    if (load.servingPid() !== pid) violations.push('the process that serves died or was replaced');
    const peakMb = load.peakBytes / 2 ** 20;
    if (peakMb > MAX_PEAK_MB) violations.push(`${peakMb} MB at its peak`);
    if (result.completed === 0) violations.push('nothing was served');
    const inFlight = await load.metric('slipstream_in_flight_requests');
    if (inFlight > 1) violations.push(`${inFlight - 1} requests are still in flight`);
    violations.push(...(await load.finish()));
    return {
      facts: {
        offered: OFFERED,
        servedPerSecond: result.completed / context.seconds,
        p50Ms: result.latency.p50 / 1000,
        failures: otherFailures(result),
        cpuShare: `${(cpuShare * 100).toFixed(0)} %`,
        recoveredMs,
        peakMb,
      },
      violations,
    };
  },
};
