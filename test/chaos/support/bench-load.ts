import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildRequest } from '../../../src/cli/bench/bench-request.ts';
import { startMockProcess } from '../../../src/cli/bench/bench-processes.ts';
import { BenchChild } from '../../../src/cli/bench/child-process.ts';
import { LoadGenerator } from '../../../src/cli/bench/load-generator.ts';
import type { LoadResult, LoadSpec } from '../../../src/cli/bench/load-spec.ts';
import { childNamed } from '../../support/child-processes.ts';
import { startGateway, type Gateway } from '../../support/gateway.ts';
import { ask } from '../../support/raw-client.ts';
import { MASTER_KEY, TEST_KEY } from '../../support/sidecar-harness.ts';
import { checkAnswers, type Answer } from './answers-check.ts';
import { gatewayYaml } from './gateway-yaml.ts';
import { readJournalDirectory } from './journal-lines.ts';
import type { ChaosContext } from './scenario.ts';

const HOST = '127.0.0.1';
const MODEL = 'good';
const TASKSET = 'taskset';
const IN_FLIGHT_PATIENCE_MS = 10_000;
/** Failures that only an answer of somebody else's, or a broken one, can have. */
const WRONG_ANSWERS = ['nonce', 'length', 'malformed reply', 'unasked bytes', 'cut stream'];
/** The terms of the sum in docs/journal.md. */
const SUM_TERMS = {
  received: 'slipstream_requests_received_total',
  lines: 'slipstream_journal_lines_total',
  dropped: 'slipstream_journal_dropped_total',
  refused: 'slipstream_refused_before_authentication_total',
  abandoned: 'slipstream_abandoned_before_authentication_total',
  unrecorded: 'slipstream_unrecorded_requests_total',
  inFlight: 'slipstream_in_flight_requests',
} as const;

/** A gateway, a mock provider and load generators in processes of their own: for scenarios about rates and latencies. */
export class BenchLoad {
  readonly gateway: Gateway;
  readonly #context: ChaosContext;
  readonly #mockPort: number;
  readonly #answersPath: string;
  readonly #wrong: string[] = [];
  #isStopped = false;
  #peakBytes = 0;

  private constructor(context: ChaosContext, gateway: Gateway, mockPort: number) {
    this.#context = context;
    this.gateway = gateway;
    this.#mockPort = mockPort;
    this.#answersPath = join(gateway.directory, 'answers');
    context.cleanup.add(async () => {
      await this.#stop();
    });
    const pid = this.servingPid();
    const look = setInterval(() => {
      this.#peakBytes = Math.max(this.#peakBytes, residentBytes(pid));
    }, 50);
    context.cleanup.add(() => clearInterval(look));
  }

  static async start(
    context: ChaosContext,
    mockFlags: readonly string[],
    slipstream: readonly string[],
  ): Promise<BenchLoad> {
    const mock = await startMockProcess(mockFlags, null, context.cleanup);
    const base = `http://${HOST}:${mock.port}/v1`;
    const models = [{ name: MODEL, base }];
    const config = gatewayYaml({ models, timeouts: {}, slipstream, threads: context.threads });
    const directory = mkdtempSync(join(tmpdir(), 'slipstream-load-'));
    context.cleanup.add(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
    const gateway = await startGateway({ mode: context.mode, config, directory });
    return new BenchLoad(context, gateway, mock.port);
  }

  /** One more load generator; its loads go beside those of the others. */
  generator(): LoadGenerator {
    const generator = new LoadGenerator(null);
    this.#context.cleanup.add(() => generator.stop());
    return generator;
  }

  /** A load at the gateway, whose answers `finish` follows to the journal. */
  async run(generator: LoadGenerator, spec: LoadSpec): Promise<LoadResult> {
    const result = await generator.run({ ...spec, answersPath: this.#answersPath });
    for (const kind of WRONG_ANSWERS) {
      const count = result.failures[kind] ?? 0;
      if (count > 0) this.#wrong.push(`${count} wrong answers: ${kind} (${result.failureNotes.join('; ')})`);
    }
    return result;
  }

  /**
   * The end of every scenario: nothing is in flight, what was answered is in the journal and the sum of it is exact, nobody
   * got an answer of another's, the gateway stops in order.
   *
   * @returns what is not so.
   */
  async finish(): Promise<string[]> {
    let counted = await this.#sum();
    for (const fromMs = performance.now(); counted.inFlight > 1;) {
      if (performance.now() - fromMs > IN_FLIGHT_PATIENCE_MS) break;
      await sleep(50);
      counted = await this.#sum();
    }
    const exitCode = await this.#stop();
    const problems =
      exitCode === 0 ? [] : [`the gateway ended with ${exitCode}:\n${this.gateway.output().slice(-2000)}`];
    const journal = readJournalDirectory(join(this.gateway.dataDirectory, 'journal'));
    return [...problems, ...this.#wrong, ...checkAnswers({ answers: this.#answers(), journal, counted })];
  }

  /** All terms of one look. */
  async #sum(): Promise<Record<keyof typeof SUM_TERMS, number>> {
    const { text } = await ask(this.gateway.port, { method: 'GET', path: '/metrics', key: MASTER_KEY });
    const sums = Object.entries(SUM_TERMS).map(([term, name]) => [term, sumOfMetric(text, name)] as const);
    return Object.fromEntries(sums) as Record<keyof typeof SUM_TERMS, number>;
  }

  #answers(): Answer[] {
    if (!existsSync(this.#answersPath)) return [];
    const lines = readFileSync(this.#answersPath, 'latin1').trim().split('\n');
    return lines.map((line) => {
      const [id = '', status] = line.split(' ');
      return { id, status: Number(status) };
    });
  }

  async #stop(): Promise<number | null> {
    if (this.#isStopped) return null;
    this.#isStopped = true;
    return this.gateway.stop({ keepData: true });
  }

  /** `qps` chat requests for `seconds`. */
  spec(parts: Pick<LoadSpec, 'qps' | 'connections' | 'seconds'> & Partial<LoadSpec>): LoadSpec {
    const target = { host: HOST, port: this.gateway.port, basePath: '/v1', key: TEST_KEY, model: MODEL };
    const { bytes, nonceAt } = buildRequest(target, { bodyBytes: 300, body: 'prose', stream: false });
    return {
      host: HOST,
      port: this.gateway.port,
      tlsServerName: null,
      tlsVerify: true,
      request: bytes,
      nonceAt,
      warmUpSeconds: 1,
      isStream: false,
      expectedBodyBytes: null,
      timeoutMs: 10_000,
      cpuUsers: [],
      ...parts,
    };
  }

  /** The same, to the mock provider itself. */
  directSpec(parts: Pick<LoadSpec, 'qps' | 'connections' | 'seconds'> & Partial<LoadSpec>): LoadSpec {
    return { ...this.spec(parts), port: this.#mockPort };
  }

  /** The same with another key in each request. */
  unknownKeySpec(parts: Pick<LoadSpec, 'qps' | 'connections' | 'seconds'> & Partial<LoadSpec>): LoadSpec {
    const spec = this.spec(parts);
    const unknown = `sk-unknown-${'0'.repeat(32)}`;
    const request = spec.request.replace(TEST_KEY, unknown);
    return { ...spec, request, nonceAt: request.indexOf(unknown) + unknown.length - 10 };
  }

  servingPid(): number {
    const { pid } = this.gateway.process;
    if (pid === undefined) throw new Error('the gateway has no process');
    if (this.#context.mode === 'no-sidecar') return pid;
    const child = childNamed(pid, 'sidecar');
    if (child === null) throw new Error('there is no sidecar process');
    return child;
  }

  /** Most memory that the serving process was seen with, bytes. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** Sum of a metric over its labels. */
  async metric(name: string): Promise<number> {
    const { text } = await ask(this.gateway.port, { method: 'GET', path: '/metrics', key: MASTER_KEY });
    return sumOfMetric(text, name);
  }

  /** Ms for one good request on a connection of its own; Infinity if it was not answered 200. */
  async oneRequestMs(): Promise<number> {
    const fromMs = performance.now();
    const body = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'hello' }] });
    try {
      const { status } = await ask(this.gateway.port, { key: TEST_KEY, body });
      return status === 200 ? performance.now() - fromMs : Infinity;
    } catch {
      return Infinity; // no answer in time
    }
  }

  /** From now on the process that serves shares one CPU with `spinners` that never rest. */
  starve(spinners: number): void {
    spawnSync(TASKSET, ['-a', '-p', '-c', '0', String(this.servingPid())]);
    for (let index = 0; index < spinners; index += 1) {
      const child = new BenchChild('spinner', [process.execPath, '-e', 'for (;;);'], { cpus: '0' });
      this.#context.cleanup.add(() => child.stop());
    }
  }
}

/** Failures other than refusals by status 503. */
export function otherFailures(result: LoadResult): string {
  const others = Object.entries(result.failures).filter(([kind]) => kind !== 'status 503');
  return others.map(([kind, count]) => `${count} × ${kind}`).join(', ');
}

/** Over its labels; 0 when there is none. */
function sumOfMetric(text: string, name: string): number {
  const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

function residentBytes(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
