import { MODES } from '../support/gateway.ts';
import { ChaosRun } from './support/chaos-run.ts';
import { VANISH_PHASES } from './support/load-client.ts';
import type { Scenario } from './support/scenario.ts';

/** Few enough that a client's leaving shows: most of an answer is still to come. */
const SLOW = 'mock?ttft=100&tokens=40&interval=10';
const LARGE = 'mock?bytes=3000000&tokens=64';

export const scenario: Scenario = {
  name: 'clients-vanish',
  description: 'clients that leave before their head is over, in their body, waiting, in the answer, or do not read it',
  modes: MODES,
  seconds: 6,
  run: async (context) => {
    const run = await ChaosRun.start(context, {
      models: ({ goodUrl }) => [
        { name: 'slow', base: goodUrl, upstream: SLOW },
        { name: 'large', base: goodUrl, upstream: LARGE },
      ],
    });
    await run.underLoad({
      qps: 250,
      clients: 200,
      plan: () => {
        const stream = context.random() < 0.5;
        if (context.random() < 0.5) return { model: 'good', stream };
        const vanish = VANISH_PHASES[Math.floor(context.random() * VANISH_PHASES.length)] ?? null;
        const model = vanish === 'not-reading' || vanish === 'mid-reply' ? 'large' : 'slow';
        return { model, stream, vanish, textBytes: vanish === 'mid-body' ? 200_000 : 100 };
      },
    });
    const stayed = run.outcomes.filter(({ plan }) => (plan.vanish ?? null) === null);
    const failed = stayed.filter(({ ending, status }) => ending !== 'complete' || status !== 200).length;
    run.expect(failed === 0, `${failed} requests of clients that stayed failed`);
    const odd = run.outcomes.filter(
      ({ plan, ending }) => plan.vanish && ending !== 'vanished' && ending !== 'complete',
    );
    run.expect(odd.length === 0, `${odd.length} clients were left instead: ${odd[0]?.plan.vanish} ${odd[0]?.ending}`);
    const connections = async (): Promise<boolean> => (await run.metric('slipstream_connections')) <= 1;
    await run.until(connections, 'no connection but the one that asks');
    return run.finish();
  },
};
