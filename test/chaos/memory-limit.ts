import { readFileSync } from 'node:fs';
import { MODES } from '../support/gateway.ts';
import { ChaosRun, type LoadPlan } from './support/chaos-run.ts';
import type { Scenario } from './support/scenario.ts';

const MEGABYTE = 1024 * 1024;
const CLIENTS = 120;
const TEXT_BYTES = 4 * MEGABYTE;
/** A third of what the clients send. */
const BUDGET_BYTES = 160 * MEGABYTE;
const MAX_RSS_BYTES = 500 * MEGABYTE;

export const scenario: Scenario = {
  name: 'memory-limit',
  description:
    'half a gigabyte of requests that wait for a silent provider, a budget of 160 MB, a heap of 64: it refuses, not dies',
  modes: MODES,
  seconds: 8,
  run: async (context) => {
    const heap = '--max-old-space-size=64';
    const run = await ChaosRun.start(context, {
      models: ({ faults }) => [{ name: 'silent', base: faults.url('hang-head') }],
      timeouts: { request: 5, first_byte: 5, stream_first_event: 5 },
      slipstream: [`limits: { max_in_flight_bytes: ${BUDGET_BYTES} }`],
      env: context.mode === 'sidecar' ? { SLIPSTREAM_SIDECAR_NODE_OPTIONS: heap } : { NODE_OPTIONS: heap },
    });
    const pid = run.servingPid();
    let peakBytes = 0;
    const look = setInterval(() => {
      peakBytes = Math.max(peakBytes, rssBytes(pid));
    }, 50);
    await run.underLoad({
      qps: 120,
      clients: CLIENTS,
      plan: (number) =>
        number % 4 === 0
          ? { model: 'good', stream: false }
          : { model: 'silent', stream: number % 3 === 0, textBytes: TEXT_BYTES },
    });
    clearInterval(look);
    run.expect(run.servingPid() === pid, 'the process that serves died');
    run.expect(peakBytes < MAX_RSS_BYTES, `${(peakBytes / MEGABYTE).toFixed(0)} MB at its peak`);
    const statuses = new Set(run.outcomes.map(({ ending, status }) => (ending === 'complete' ? status : ending)));
    const odd = [...statuses].filter((status) => status !== 200 && status !== 408 && status !== 503);
    run.expect(odd.length === 0, `requests ended with ${odd.join(', ')}`);
    const refused = run.outcomes.filter(({ status }) => status === 503);
    run.expect(refused.length > 0, 'nothing was refused');
    run.expect(
      refused.every(({ errorName, hasRetryAfter }) => errorName === 'overloaded' && hasRetryAfter),
      'a refusal has another name than overloaded, or no retry-after',
    );
    const counted = await run.metric('slipstream_admission_refused_total');
    run.expect(counted === refused.length, `${counted} refusals are counted, not ${refused.length}`);
    await largeRequestsWork(run);
    await run.until(async () => (await run.metric('slipstream_in_flight_bytes')) === 0, 'all memory is given back');
    return run.finish({ refusedForMemory: refused.length, peakMb: peakBytes / MEGABYTE });
  },
};

/** As large as those that were refused, as many at once as there is room for. */
async function largeRequestsWork(run: ChaosRun): Promise<void> {
  const before = run.outcomes.length;
  const plan: LoadPlan['plan'] = () => ({ model: 'good', stream: false, textBytes: TEXT_BYTES });
  const load = run.startLoad({ qps: 20, clients: 8, plan });
  await run.until(() => run.outcomes.length >= before + 16, 'large requests are answered afterwards');
  await load.stop();
  const failed = run.outcomes.slice(before).filter(({ status }) => status !== 200);
  run.expect(failed.length === 0, `afterwards ${failed.length} large requests fail: ${JSON.stringify(failed[0])}`);
}

function rssBytes(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
