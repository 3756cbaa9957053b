// How long a configuration of 2,000 deployments keeps a worker from its requests, in ms (design.md: applying < 5 ms).
//   node bin/slipstream.js node -- bench/micro/apply-snapshot.ts
// As in production each snapshot is an object of its own: it came as JSON (main thread) or was cloned (worker threads).
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { invariant } from '../../src/base/invariant.ts';
import type { Snapshot } from '../../src/contract/snapshot.ts';
import { compileConfig } from '../../src/control/config/compile-config.ts';
import { loadConfigSource } from '../../src/control/config/config-source.ts';
import { Findings } from '../../src/control/config/findings.ts';
import type { Logger } from '../../src/runtime/logger.ts';
import { MetricsRegistry } from '../../src/runtime/metrics-registry.ts';
import { newSharedMemory } from '../../src/sidecar/worker/shared-memory.ts';
import { Worker } from '../../src/sidecar/worker/worker.ts';

const DEPLOYMENTS = 2000;
const PER_GROUP = 4;
const APPLIES = 15;
/** Between two applies, as configurations change seldom; what is due of the worker's happens. */
const PAUSE_MS = 30;

const directory = mkdtempSync(join(tmpdir(), 'slipstream-micro-'));
const silent: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore, child: () => silent };
try {
  for (const [name, originCount] of [
    ['10 addresses', 10],
    ['2,000 addresses', DEPLOYMENTS],
  ] as const) {
    await measure(`${DEPLOYMENTS} deployments at ${name}`, (version) => newSnapshot(originCount, version));
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
process.exit(0);

async function measure(name: string, make: (version: number) => Snapshot): Promise<void> {
  const worker = newWorker(make(0));
  const received: number[] = [];
  const cloned: number[] = [];
  const same: number[] = [];
  const changed: number[] = [];
  const used: number[] = [];
  const texts = [0, 1].map((version) => JSON.stringify(make(version)));
  for (let apply = 0; apply < APPLIES; apply += 1) {
    const text = texts[apply % 2] ?? '';
    received.push(timed(() => JSON.parse(text)));
    const bytes = serialize(JSON.parse(text));
    cloned.push(timed(() => deserialize(bytes)));
    const first = JSON.parse(text) as Snapshot;
    changed.push(timed(() => worker.applySnapshot(first)));
    await pause();
    used.push(timed(() => useAll(worker)));
    const second = JSON.parse(text) as Snapshot;
    same.push(timed(() => worker.applySnapshot(second)));
    await pause();
  }
  console.log(`${name}, ${((texts[0]?.length ?? 0) / 1e6).toFixed(1)} MB of JSON`);
  row('parsed', received);
  row('cloned', cloned);
  row('applied: all changed in a header', changed);
  row('applied: nothing changed', same);
  row('first request of every deployment', used);
}

function row(name: string, ms: readonly number[]): void {
  const rest = ms.slice(1).toSorted((a, b) => a - b);
  const numbers = [ms[0], rest[0], rest[rest.length >> 1], rest.at(-1)].map((value) =>
    (value ?? 0).toFixed(1).padStart(6),
  );
  console.log(
    `  ${name.padEnd(34)} first ${numbers[0]}, later least ${numbers[1]}, median ${numbers[2]}, most ${numbers[3]}`,
  );
}

/** As the first request of each deployment does: what it takes of the deployment is made then. */
function useAll(worker: Worker): void {
  for (const { heads } of worker.snapshot?.deployments.values() ?? [])
    invariant(heads.chat_completions !== '', 'a head');
}

function newSnapshot(originCount: number, version: number): Snapshot {
  const entries = Array.from({ length: DEPLOYMENTS }, (_, index) => {
    const base = `https://provider-${index % originCount}.example.com/v1`;
    const params =
      `model: openai/gpt-4o, api_base: "${base}", api_key: sk-${index}, rpm: 1000, tpm: 100000, ` +
      `extra_headers: { x-version: "${version}" }`;
    return `  - { model_name: group-${Math.floor(index / PER_GROUP)}, litellm_params: { ${params} }, model_info: { id: d-${index} } }`;
  });
  const path = join(directory, 'config.yaml');
  writeFileSync(path, `model_list:\n${entries.join('\n')}\ngeneral_settings: { master_key: sk-0123456789abcdef }\n`);
  const findings = new Findings();
  const { snapshot } = compileConfig(loadConfigSource(path, {}, findings), {}, Date.now(), findings);
  if (findings.errors.length > 0) throw new Error(findings.errors[0]?.message);
  return snapshot;
}

function newWorker({ settings }: Snapshot): Worker {
  return new Worker({
    host: { lookUpKey: ignore, renderMetrics: ignore, shareResponse: ignore, connectionsChanged: ignore },
    listeners: [],
    logger: silent,
    registry: new MetricsRegistry({ publish: ignore }),
    adminSocketPath: join(directory, 'admin.sock'),
    journalDirectory: directory,
    journalPrefix: 'micro',
    shared: newSharedMemory(1, settings.rateLimits),
  });
}

function timed(operation: () => unknown): number {
  const startMs = performance.now();
  operation();
  return performance.now() - startMs;
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}

function ignore(): void {}
