import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildRequest } from '../../../src/cli/bench/bench-request.ts';
import { startMockProcess } from '../../../src/cli/bench/bench-processes.ts';
import { BenchChild } from '../../../src/cli/bench/child-process.ts';
import { LoadGenerator } from '../../../src/cli/bench/load-generator.ts';
import type { LoadResult, LoadSpec } from '../../../src/cli/bench/load-spec.ts';
import { childNamed } from '../../support/child-processes.ts';
import { startGateway, type Gateway } from '../../support/gateway.ts';
import { ask } from '../../support/raw-client.ts';
import { MASTER_KEY, TEST_KEY } from '../../support/sidecar-harness.ts';
import { gatewayYaml } from './gateway-yaml.ts';
import type { ChaosContext } from './scenario.ts';

const HOST = '127.0.0.1';
const MODEL = 'good';
const TASKSET = 'taskset';

/** A gateway, a mock provider and load generators in processes of their own: for scenarios about rates and latencies. */
export class BenchLoad {
  readonly gateway: Gateway;
  readonly #context: ChaosContext;
  readonly #mockPort: number;
  #peakBytes = 0;

  private constructor(context: ChaosContext, gateway: Gateway, mockPort: number) {
    this.#context = context;
    this.gateway = gateway;
    this.#mockPort = mockPort;
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
    const config = gatewayYaml({ models: [{ name: MODEL, base }], timeouts: {}, slipstream });
    const directory = mkdtempSync(join(tmpdir(), 'slipstream-load-'));
    context.cleanup.add(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
    const gateway = await startGateway({ mode: context.mode, config, directory });
    context.cleanup.add(async () => {
      await gateway.stop({ keepData: true });
    });
    return new BenchLoad(context, gateway, mock.port);
  }

  /** One more load generator; its loads go beside those of the others. */
  generator(): LoadGenerator {
    const generator = new LoadGenerator(null);
    this.#context.cleanup.add(() => generator.stop());
    return generator;
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
    const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  /** Ms for one good request on a connection of its own; Infinity if it was not answered 200. */
  async oneRequestMs(): Promise<number> {
    const fromMs = performance.now();
    const body = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'hello' }] });
    const { status } = await ask(this.gateway.port, { key: TEST_KEY, body });
    return status === 200 ? performance.now() - fromMs : Infinity;
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

function residentBytes(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
