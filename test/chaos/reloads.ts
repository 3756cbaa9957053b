import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSegmentName } from '../../src/contract/segment-name.ts';
import { ChaosRun } from './support/chaos-run.ts';
import type { Outcome } from './support/load-client.ts';
import type { Scenario } from './support/scenario.ts';

const RELOADS = 20;
const THREADS = 2;
/** Within so much of the file's change every thread has to show it in an answer, and none may begin a request without it. */
const IN_FORCE_MS = 1_000;

export const scenario: Scenario = {
  name: 'reloads',
  description: '20 changes of the configuration at 2,000 req/s, two threads: no request fails, all see each within 1 s',
  modes: ['sidecar'],
  seconds: 30,
  run: async (context) => {
    const run = await ChaosRun.start(context, {
      // The provider sends back what it was sent: the header that the configuration adds, too.
      mockFlags: ['--tokens', '8', '--echo'],
      models: ({ goodUrl }) => [
        { name: 'versioned', base: goodUrl, params: 'extra_headers: { x-config-version: "0" }' },
      ],
      args: ['--threads', String(THREADS)],
    });
    const changedMs: number[] = [];
    const changedUnixMs: number[] = [];
    // In turn: both threads have a request every few milliseconds, so each shows when it has a change.
    const load = { qps: 2_000, clients: 64, inTurn: true };
    await run.underLoad({ ...load, plan: (number) => ({ model: 'versioned', stream: number % 3 === 0 }) }, async () => {
      for (let version = 1; version <= RELOADS; version += 1) {
        await run.wait(1 / (RELOADS + 1));
        changeVersion(run.gateway.configPath, version);
        changedMs.push(performance.now());
        changedUnixMs.push(Date.now());
      }
      await run.wait(1 / (RELOADS + 1));
    });
    const { outcomes } = run;
    const failed = outcomes.filter(({ ending, status }) => ending !== 'complete' || status !== 200);
    run.expect(failed.length === 0, `${failed.length} requests failed, the first: ${JSON.stringify(failed[0])}`);
    const missed = slowestMs(outcomes, changedMs);
    run.expect(missed < IN_FORCE_MS, `a request began ${missed.toFixed(0)} ms after a change and did not see it`);
    const report = await run.finish({
      reloads: changedMs.length,
      requestsPerSecond: (outcomes.length / context.seconds).toFixed(0),
      slowestReadMs: slowestReadMs(run.gateway.output(), changedUnixMs),
    });
    const threads = outcomesByThread(run.gateway.dataDirectory, outcomes);
    const seenMs = [...threads.values()].map((own) => slowestToBeSeenMs(own, changedMs));
    const violations = [...report.violations];
    if (threads.size !== THREADS) violations.push(`${threads.size} threads served, not ${THREADS}`);
    for (const ms of seenMs) {
      if (!(ms < IN_FORCE_MS)) violations.push(`a thread showed a change only after ${ms.toFixed(0)} ms`);
    }
    const facts = { slowestMsByThread: seenMs.map((ms) => ms.toFixed(0)).join('/'), slowestMissMs: missed.toFixed(0) };
    return { facts: { ...report.facts, ...facts }, violations };
  },
};

/** As deployment tools do: a new file in place of the old one. */
function changeVersion(path: string, version: number): void {
  const text = readFileSync(path, 'utf8').replace(/x-config-version: "\d+"/, `x-config-version: "${version}"`);
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

/** The longest that a request began after a change and still did not see it. */
function slowestMs(outcomes: readonly Outcome[], changedMs: readonly number[]): number {
  let slowest = 0;
  for (const { configVersion, startedMs } of outcomes) {
    if (configVersion === null) continue;
    // The first change that this request did not see.
    const missedMs = changedMs[configVersion];
    if (missedMs !== undefined) slowest = Math.max(slowest, startedMs - missedMs);
  }
  return slowest;
}

/** The longest from a change until the control plane had read it: where the time went, if it was too long. */
function slowestReadMs(output: string, changedUnixMs: readonly number[]): number {
  const readMs = [...output.matchAll(/"time":"([^"]+)"[^\n]*"new configuration in force"/g)].map(([, time = '']) =>
    Date.parse(time),
  );
  return Math.max(...changedUnixMs.map((ms) => (readMs.find((read) => read >= ms) ?? Number.NaN) - ms));
}

/** The longest from a change until a request of this thread was answered with it; Infinity: one was never seen. */
function slowestToBeSeenMs(outcomes: readonly Outcome[], changedMs: readonly number[]): number {
  const firstMs = changedMs.map(() => Infinity);
  for (const { configVersion, endedMs } of outcomes) {
    const at = (configVersion ?? 0) - 1;
    const first = firstMs[at];
    if (first !== undefined) firstMs[at] = Math.min(first, endedMs);
  }
  return Math.max(...firstMs.map((ms, index) => ms - (changedMs[index] ?? 0)));
}

/** What each worker thread served: the journal has files per thread. */
function outcomesByThread(dataDirectory: string, outcomes: readonly Outcome[]): ReadonlyMap<number, Outcome[]> {
  const byCallId = new Map(outcomes.map((outcome) => [outcome.callId, outcome]));
  const threads = new Map<number, Outcome[]>();
  const directory = join(dataDirectory, 'journal');
  for (const name of readdirSync(directory)) {
    const segment = parseSegmentName(name);
    if (segment === null) continue;
    const served = threads.get(segment.worker) ?? [];
    threads.set(segment.worker, served);
    for (const [, id = ''] of readFileSync(join(directory, name), 'utf8').matchAll(/"id":"([^"]+)"/g)) {
      const outcome = byCallId.get(id);
      if (outcome !== undefined) served.push(outcome);
    }
  }
  return threads;
}
