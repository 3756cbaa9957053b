// npm run soak -- [--minutes 20] [--qps 2000] [--seed N] [--no-faults]
// A long load, a third of it streams, with faults on: nothing may grow, nothing may be lost.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startMockProcess } from '../../src/cli/bench/bench-processes.ts';
import { Cleanup } from '../../src/cli/bench/cleanup.ts';
import { FAULTS, type FaultName } from '../chaos/support/faults.ts';
import { gatewayYaml } from '../chaos/support/gateway-yaml.ts';
import { VANISH_PHASES, type RequestPlan } from '../chaos/support/load-client.ts';
import { Load } from '../chaos/support/load.ts';
import { newRunId } from '../chaos/support/nonce.ts';
import { seededRandom } from '../chaos/support/scenario.ts';
import { startFaultProvider } from '../chaos/support/start-fault-provider.ts';
import { childNamed } from '../support/child-processes.ts';
import { startGateway, type Gateway } from '../support/gateway.ts';
import { metric } from '../support/flow-support.ts';
import { sampleProcess, type ProcessSample } from './inspector.ts';
import { growth, textOf, type Sample } from './soak-growth.ts';
import { SoakLedger } from './soak-ledger.ts';

const MEGABYTE = 1024 * 1024;
const SAMPLE_SECONDS = 60;
/** Of requests that meet a provider with a fault, and of those whose client leaves. */
const FAULT_SHARE = 0.03;
const VANISH_SHARE = 0.03;
/** Idle connections to providers are closed after this, so that a pause leaves none. */
const UPSTREAM_IDLE_SECONDS = 1;
const SETTLE_MS = 3_500;
/** On a busy machine the last connections close later: so long the descriptors may take to be as many as before. */
const PATIENCE_MS = 10_000;
const READ_JOURNAL_MS = 5_000;

/** 100 MB at a time, and a byte a second, have scenarios of their own. */
const LEFT_OUT: readonly FaultName[] = ['large', 'drip-head', 'drip-body', 'none'];
const FAULT_NAMES = (Object.keys(FAULTS) as FaultName[]).filter((name) => !LEFT_OUT.includes(name));

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    qps: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
    'no-faults': { type: 'boolean', default: false },
  },
});
const minutes = Number(values.minutes);
const qps = Number(values.qps);
const random = seededRandom(Number(values.seed));
const cleanup = new Cleanup();
try {
  process.exitCode = await soak();
} finally {
  await cleanup.run();
}

async function soak(): Promise<number> {
  const scratch = mkdtempSync(join(tmpdir(), 'slipstream-soak-'));
  cleanup.add(() => rmSync(scratch, { recursive: true, force: true, maxRetries: 3 }));
  const gateway = await startAll(scratch);
  const sidecar = childNamed(gateway.process.pid ?? -1, 'sidecar');
  if (sidecar === null) throw new Error('there is no sidecar');
  const urls = debuggerUrls(gateway);
  const runId = newRunId(random);
  const ledger = new SoakLedger(runId, join(gateway.dataDirectory, 'journal'));
  const reading = setInterval(() => ledger.readJournal(), READ_JOURNAL_MS);

  const samples: Sample[] = [];
  const everySeconds = Math.min(SAMPLE_SECONDS, (minutes * 60) / 4);
  const intervals = Math.round((minutes * 60) / everySeconds);
  let next = 1;
  print(`${minutes} minutes at ${qps} requests per second, a third of them streams; faults ${faultsText()}`);
  print('minute  heap+external   heap MB  external MB   RSS MB  control MB  descriptors  handles');
  for (let i = 1; i <= intervals; i += 1) {
    const load = new Load({
      port: gateway.port,
      runId,
      qps,
      clients: Math.max(64, Math.ceil(qps / 4)),
      plan,
      firstNumber: next,
      onOutcome: (outcome) => ledger.record(outcome),
    });
    await sleep(everySeconds * 1000 - SETTLE_MS);
    await load.stop();
    next = load.next;
    await sleep(SETTLE_MS);
    await untilDescriptors(sidecar, samples.at(-1)?.descriptors ?? null);
    samples.push(await takeSample(urls, sidecar, (i * everySeconds) / 60));
    print(sampleLine(samples.at(-1)));
  }
  clearInterval(reading);

  const problems: string[] = [];
  const inFlight = (await metric(gateway.port, 'slipstream_in_flight_requests')) - 1;
  if (inFlight !== 0) problems.push(`${inFlight} requests in flight for ever`);
  const dropped = await metric(gateway.port, 'slipstream_journal_dropped_total');
  const refused = await metric(gateway.port, 'slipstream_refused_before_authentication_total');
  // Clients that left before their first request was begun, in a rush of connections.
  const abandoned = await metric(gateway.port, 'slipstream_abandoned_before_authentication_total');
  if (childNamed(gateway.process.pid ?? -1, 'sidecar') !== sidecar) problems.push('the sidecar was replaced');
  const exitCode = await gateway.stop({ keepData: true });
  if (exitCode !== 0) problems.push(`the gateway ended with ${exitCode}: ${gateway.output().slice(-1000)}`);
  const sums = ledger.settle(dropped, refused + abandoned);
  problems.push(...ledger.violations, ...growth(samples));
  print(`requests: ${textOf(sums)}; endings: ${textOf(ledger.counts)}`);
  for (const problem of problems) print(`VIOLATION: ${problem}`);
  print(problems.length === 0 ? 'the soak held' : 'THE SOAK FAILED');
  return problems.length === 0 ? 0 : 1;
}

async function startAll(scratch: string): Promise<Gateway> {
  const mock = await startMockProcess(['--tokens', '8', '--ttft-ms', '5', '--token-interval-ms', '2'], null, cleanup);
  const goodUrl = `http://127.0.0.1:${mock.port}/v1`;
  const faults = await startFaultProvider(cleanup);
  const inspect = '--inspect=127.0.0.1:0';
  const gateway = await startGateway({
    mode: 'sidecar',
    config: gatewayYaml({
      models: [
        { name: 'good', base: goodUrl },
        { name: 'slow', base: goodUrl, upstream: 'mock?ttft=50&tokens=20&interval=10' },
        ...FAULT_NAMES.flatMap((fault) => [
          { name: `bad-${fault}`, base: faults.url(fault) },
          { name: `saved-${fault}`, base: faults.url(fault), params: 'order: 1' },
          { name: `saved-${fault}`, base: goodUrl, params: 'order: 2' },
        ]),
      ],
      timeouts: {
        request: 4,
        first_byte: 1.5,
        stream_first_event: 1.5,
        stream_idle: 1.5,
        upstream_idle: UPSTREAM_IDLE_SECONDS,
      },
      slipstream: [],
    }),
    directory: mkdtempSync(join(scratch, 'gateway-')),
    env: { SLIPSTREAM_SIDECAR_NODE_OPTIONS: inspect, SLIPSTREAM_CONTROL_NODE_OPTIONS: inspect },
  });
  cleanup.add(async () => {
    if (gateway.process.exitCode === null && gateway.process.signalCode === null) await gateway.stop();
  });
  return gateway;
}

function plan(): RequestPlan {
  const stream = random() < 1 / 3;
  const kind = values['no-faults'] ? 1 : random();
  if (kind < FAULT_SHARE) {
    const fault = FAULT_NAMES[Math.floor(random() * FAULT_NAMES.length)] ?? 'reset';
    return { model: `${random() < 0.5 ? 'bad' : 'saved'}-${fault}`, stream, timeoutMs: 10_000 };
  }
  if (kind < FAULT_SHARE + VANISH_SHARE) {
    const vanish = VANISH_PHASES[Math.floor(random() * VANISH_PHASES.length)] ?? null;
    return { model: 'slow', stream, vanish };
  }
  return { model: 'good', stream };
}

/** In order of the lines that the children print. */
function debuggerUrls(gateway: Gateway): string[] {
  return Array.from(gateway.output().matchAll(/Debugger listening on (ws:\S+)/g), ([, url]) => url ?? '');
}

/** Of several processes the one with this pid: asked, since their lines come in any order. */
async function takeSample(urls: readonly string[], sidecar: number, minute: number): Promise<Sample> {
  // Before: the connection of the inspector is a descriptor too.
  const descriptors = descriptorsOf(sidecar);
  let own: ProcessSample | null = null;
  let controlBytes = 0;
  for (const url of urls) {
    const sample = await sampleProcess(url);
    if (sample.pid === sidecar) own = sample;
    else controlBytes = sample.heapBytes + sample.externalBytes;
  }
  if (own === null) throw new Error('the sidecar has no inspector');
  return { ...own, minute, controlBytes, descriptors };
}

function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

async function untilDescriptors(pid: number, before: number | null): Promise<void> {
  if (before === null) return;
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (descriptorsOf(pid) !== before && performance.now() < deadlineMs) await sleep(100);
}

function sampleLine(sample: Sample | undefined): string {
  if (sample === undefined) return '';
  const { minute, heapBytes, externalBytes, rssBytes, controlBytes, descriptors, resources } = sample;
  const cells = [heapBytes + externalBytes, heapBytes, externalBytes, rssBytes, controlBytes].map((bytes) =>
    (bytes / MEGABYTE).toFixed(2).padStart(11),
  );
  return `${minute.toFixed(2).padStart(6)}${cells.join('')}  ${String(descriptors).padStart(6)}  ${textOf(resources)}`;
}

function faultsText(): string {
  if (values['no-faults']) return 'off';
  return `in ${FAULT_SHARE * 100} % of them, ${VANISH_SHARE * 100} % of the clients leave`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
