import { readFileSync } from 'node:fs';
import { MODES } from '../support/gateway.ts';
import { ChaosRun } from './support/chaos-run.ts';
import type { Scenario } from './support/scenario.ts';

const MEGABYTE = 1024 * 1024;
/** More than a gateway may hold at once on a machine with 1 GB. */
const CLIENTS = 120;
const TEXT_BYTES = 4 * MEGABYTE;
const MAX_RSS_BYTES = 900 * MEGABYTE;

export const scenario: Scenario = {
  name: 'memory-limit',
  description:
    'half a gigabyte of requests that wait for a silent provider, with a heap of 64 MB: it refuses, not dies',
  modes: MODES,
  seconds: 8,
  run: async (context) => {
    const heap = '--max-old-space-size=64';
    const run = await ChaosRun.start(context, {
      models: ({ faults }) => [{ name: 'silent', base: faults.url('hang-head') }],
      timeouts: { request: 5, first_byte: 5, stream_first_event: 5 },
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
    return run.finish({ peakMb: peakBytes / MEGABYTE });
  },
};

function rssBytes(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
