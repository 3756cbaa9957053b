import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSegmentName } from '../../src/contract/segment-name.ts';
import { ChaosRun } from './support/chaos-run.ts';
import type { Outcome } from './support/load-client.ts';
import type { Scenario } from './support/scenario.ts';

const RELOADS = 20;
/** Within so much of the file's change every thread has to serve by it. */
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
      args: ['--threads', '2'],
    });
    const changedMs: number[] = [];
    const changedUnixMs: number[] = [];
    await run.underLoad(
      { qps: 2_000, clients: 64, plan: (number) => ({ model: 'versioned', stream: number % 3 === 0 }) },
      async () => {
        for (let version = 1; version <= RELOADS; version += 1) {
          await run.wait(1 / (RELOADS + 1));
          changeVersion(run.gateway.configPath, version);
          changedMs.push(performance.now());
          changedUnixMs.push(Date.now());
        }
        await run.wait(1 / (RELOADS + 1));
      },
    );
    const { outcomes } = run;
    const failed = outcomes.filter(({ ending, status }) => ending !== 'complete' || status !== 200);
    run.expect(failed.length === 0, `${failed.length} requests failed, the first: ${JSON.stringify(failed[0])}`);
    const slowest = slowestMs(outcomes, changedMs);
    run.expect(slowest < IN_FORCE_MS, `a change was in force only after ${slowest.toFixed(0)} ms`);
    const seconds = context.seconds;
    const report = await run.finish({
      reloads: changedMs.length,
      requestsPerSecond: (outcomes.length / seconds).toFixed(0),
      slowestChangeMs: slowest.toFixed(0),
      slowestReadMs: slowestReadMs(run.gateway.output(), changedUnixMs),
    });
    const threads = versionsByThread(run.gateway.dataDirectory, outcomes);
    // Every request of every thread is in `slowest`. The load reuses the connection that was free last, so that a thread
    // may have had no request between two changes: how many versions each served by is told, not asked for.
    const served = [...threads.values()].map((versions) => versions.size);
    const violations = [...report.violations];
    if (threads.size !== 2) violations.push(`${threads.size} threads served, not 2`);
    return { facts: { ...report.facts, versionsByThread: served.join('/') }, violations };
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

/** Which versions each worker thread served by: the journal has a file per thread. */
function versionsByThread(dataDirectory: string, outcomes: readonly Outcome[]): ReadonlyMap<number, Set<number>> {
  const versions = new Map(outcomes.map(({ callId, configVersion }) => [callId, configVersion]));
  const threads = new Map<number, Set<number>>();
  const directory = join(dataDirectory, 'journal');
  for (const name of readdirSync(directory)) {
    const segment = parseSegmentName(name);
    if (segment === null) continue;
    const seen = threads.get(segment.worker) ?? new Set();
    threads.set(segment.worker, seen);
    for (const [, id = ''] of readFileSync(join(directory, name), 'utf8').matchAll(/"id":"([^"]+)"/g)) {
      const version = versions.get(id) ?? null;
      if (version !== null && version > 0) seen.add(version);
    }
  }
  return threads;
}
