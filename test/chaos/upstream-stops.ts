import { setTimeout as sleep } from 'node:timers/promises';
import { MODES } from '../support/gateway.ts';
import { ChaosRun } from './support/chaos-run.ts';
import type { Scenario } from './support/scenario.ts';

/** Longer than its requests wait, so that it answers what nobody waits for any more. */
const STOP_MS = 5_000;

export const scenario: Scenario = {
  name: 'upstream-stops',
  description: 'SIGSTOP of a provider, later SIGCONT: requests end in time, late answers go to nobody',
  modes: MODES,
  seconds: 8,
  run: async (context) => {
    const run = await ChaosRun.start(context, {
      timeouts: { request: 3, first_byte: 1.5, stream_first_event: 1.5, stream_idle: 1.5, connect: 1.5 },
      models: ({ goodUrl, faults }) => [
        { name: 'stopped', base: faults.url('none') },
        { name: 'saved', base: faults.url('none'), params: 'order: 1' },
        { name: 'saved', base: goodUrl, params: 'order: 2' },
      ],
    });
    const { pid } = run.providers.faults;
    context.cleanup.add(() => {
      process.kill(pid, 'SIGCONT');
    });
    const names = ['good', 'stopped', 'saved'] as const;
    await run.underLoad(
      {
        qps: 150,
        clients: 400,
        plan: (number) => ({ model: names[number % names.length] ?? 'good', stream: context.random() < 0.4 }),
      },
      async () => {
        await run.pause(context.seconds * 250);
        process.kill(pid, 'SIGSTOP');
        await sleep(STOP_MS);
        process.kill(pid, 'SIGCONT');
        await run.wait(0.3);
      },
    );
    for (const { plan, ending, status, errorName } of run.outcomes) {
      const isOk = ending === 'complete' && status === 200;
      const isTimely = ending === 'complete' && (status === 408 || status === 502);
      const isBroken = plan.stream && ending === 'stream-error';
      const isRight =
        isOk || (plan.model === 'stopped' && (isTimely || isBroken)) || (plan.model === 'saved' && isBroken);
      if (!isRight) run.violations.push(`${plan.model}: ${ending} ${status} ${errorName ?? ''}`);
    }
    run.expect(
      run.outcomes.some(({ status }) => status === 408),
      'no request met the provider while it was stopped',
    );
    return run.finish();
  },
};
