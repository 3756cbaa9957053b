import { writeFileSync } from 'node:fs';
import { armMemory, measureArm, probeArms } from './arm.ts';
import type { CommonOptions } from './bench-options.ts';
import { startMockProcess } from './bench-processes.ts';
import type { Cleanup } from './cleanup.ts';
import { LoadGenerator } from './load-generator.ts';
import { describeMachine } from './machine.ts';
import { renderReport } from './overhead-report.ts';
import { summarizeOverhead } from './overhead-summary.ts';
import { startGatewayArm } from './overhead.ts';

/** `slipstream bench hold`. @returns the exit status. */
export async function runHold(options: CommonOptions, cleanup: Cleanup): Promise<number> {
  const machine = describeMachine();
  const generator = new LoadGenerator(options.cpusLoad);
  cleanup.add(() => generator.stop());
  const mock = await startMockProcess(options.mockFlags, options.cpusLoad, cleanup);
  const arm = await startGatewayArm({ ...options, isWarm: false }, mock, cleanup);
  const lengths = await probeArms(generator, [arm], options.shape);
  const expectedBodyBytes = lengths.get(arm.name) ?? null;
  const round = await measureArm(generator, arm, { shape: options.shape, expectedBodyBytes, round: 0 });
  const summary = summarizeOverhead([round], options.shape.qps);
  const memory = armMemory(arm);
  process.stdout.write(renderReport({ machine, summary, haproxyVersion: null, rounds: 1, memory, ...options.shape }));
  if (options.jsonFile !== null) {
    const load = { ...round.load, latencyHistogram: undefined };
    const result = { kind: 'hold', machine, options, summary, memory, rounds: [{ ...round, load }] };
    writeFileSync(options.jsonFile, `${JSON.stringify(result, null, 1)}\n`);
  }
  return summary.problems.length === 0 ? 0 : 1;
}
