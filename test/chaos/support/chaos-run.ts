import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startMockProcess } from '../../../src/cli/bench/bench-processes.ts';
import { processTree } from '../../../src/cli/bench/process-stats.ts';
import { childNamed } from '../../support/child-processes.ts';
import { startGateway, type Gateway } from '../../support/gateway.ts';
import { ask, type RawReply } from '../../support/raw-client.ts';
import { MASTER_KEY } from '../../support/sidecar-harness.ts';
import { gatewayYaml, type ModelEntry } from './gateway-yaml.ts';
import { checkJournal, type LossWindow } from './journal-check.ts';
import { readJournalDirectory } from './journal-lines.ts';
import type { Outcome, RequestPlan } from './load-client.ts';
import { Load } from './load.ts';
import { newRunId } from './nonce.ts';
import { startFaultProvider, type FaultProvider } from './start-fault-provider.ts';
import { commandOf } from './processes.ts';
import type { ChaosContext, ScenarioReport } from './scenario.ts';

export interface RunOptions {
  /** Of the good provider: flags of `slipstream mock`. */
  readonly mockFlags?: readonly string[];
  /** Besides `good`, which is at the good provider. */
  readonly models?: (providers: Providers) => readonly ModelEntry[];
  /** Seconds by name, as in `slipstream.timeouts`. */
  readonly timeouts?: Readonly<Record<string, number>>;
  /** More lines of the `slipstream:` section. */
  readonly slipstream?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Logs of further providers, in which answers may be found. */
  readonly providerLogs?: readonly string[];
  /** The data directory's parent; default a new folder in the temporary directory. */
  readonly directory?: string;
}

export interface Providers {
  readonly goodUrl: string;
  readonly faults: FaultProvider;
}

export interface LoadPlan {
  readonly qps: number;
  readonly clients: number;
  readonly plan: (number: number) => RequestPlan;
  /** As in `LoadOptions`. */
  readonly inTurn?: boolean;
}

const LAUNCHER = join(import.meta.dirname, '../../../bin/slipstream.js');
/** Whatever is taken for a request and given back after it. */
const ZERO_AT_REST = [
  'slipstream_admitted_requests',
  'slipstream_queued_requests',
  'slipstream_deployment_in_flight',
  'slipstream_journal_queued_bytes',
];
const IN_FLIGHT_PATIENCE_MS = 10_000;
const RECOVERY_PATIENCE_MS = 30_000;

/** A gateway with its providers, its load and the account of every request: what a scenario works with. */
export class ChaosRun {
  readonly outcomes: Outcome[] = [];
  readonly violations: string[] = [];
  readonly kills: LossWindow[] = [];
  /** While connections may be closed before a byte of theirs is read. */
  readonly unread: LossWindow[] = [];
  readonly runId: string;
  readonly providers: Providers;
  gateway: Gateway;
  /** False once a process that counts was killed: its counters are gone. */
  countersAreWhole = true;
  readonly #context: ChaosContext;
  readonly #options: RunOptions;
  readonly #config: string;
  readonly #mockLog: string;
  /** Every process of ours that was seen, so that none is left. */
  readonly #pids = new Set<number>();
  #nextNumber = 1;

  private constructor(context: ChaosContext, options: RunOptions, rest: Started) {
    this.#context = context;
    this.#options = options;
    this.#config = rest.config;
    this.#mockLog = rest.mockLog;
    this.providers = rest.providers;
    this.gateway = rest.gateway;
    this.runId = newRunId(context.random);
    context.cleanup.add(() => this.#killAll());
    this.#remember();
  }

  static async start(context: ChaosContext, options: RunOptions = {}): Promise<ChaosRun> {
    const scratch = mkdtempSync(join(tmpdir(), 'slipstream-chaos-'));
    context.cleanup.add(() => rmSync(scratch, { recursive: true, force: true, maxRetries: 3 }));
    const mockLog = join(scratch, 'mock.ndjson');
    const flags = [...(options.mockFlags ?? ['--tokens', '8']), '--log', mockLog];
    const mock = await startMockProcess(flags, null, context.cleanup);
    const faults = await startFaultProvider(context.cleanup);
    const providers = { goodUrl: `http://127.0.0.1:${mock.port}/v1`, faults };
    const config = gatewayYaml({
      models: [{ name: 'good', base: providers.goodUrl }, ...(options.models?.(providers) ?? [])],
      timeouts: options.timeouts ?? {},
      slipstream: options.slipstream ?? [],
      threads: context.threads,
    });
    const gateway = await startGateway({
      mode: context.mode,
      config,
      directory: options.directory ?? mkdtempSync(join(scratch, 'gateway-')),
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.args === undefined ? {} : { args: options.args }),
    });
    return new ChaosRun(context, options, { config, mockLog, providers, gateway });
  }

  /** Process that serves requests. */
  servingPid(): number {
    if (this.#context.mode === 'no-sidecar') return this.supervisorPid();
    return this.childPid('sidecar');
  }

  supervisorPid(): number {
    const { pid } = this.gateway.process;
    if (pid === undefined) throw new Error('the gateway has no process');
    return pid;
  }

  childPid(plane: 'sidecar' | 'control'): number {
    const pid = childNamed(this.supervisorPid(), plane);
    if (pid === null) throw new Error(`there is no ${plane} process`);
    this.#pids.add(pid);
    return pid;
  }

  startLoad(plan: LoadPlan): Load {
    return new Load({
      port: this.gateway.port,
      runId: this.runId,
      ...plan,
      firstNumber: this.#nextNumber,
      onOutcome: (outcome) => {
        this.outcomes.push(outcome);
        this.#nextNumber = Math.max(this.#nextNumber, outcome.number + 1);
      },
    });
  }

  /** Load for the scenario's time, while `disturb` does what it does. */
  async underLoad(plan: LoadPlan, disturb: () => Promise<void> = () => this.wait(1)): Promise<void> {
    const load = this.startLoad(plan);
    try {
      await disturb();
    } finally {
      await load.stop();
      this.#remember();
    }
  }

  /** @param share of the scenario's time. */
  async wait(share: number): Promise<void> {
    await sleep(this.#context.seconds * 1000 * share);
  }

  /** A random part of `maxMs`. */
  async pause(maxMs: number): Promise<void> {
    await sleep(this.#context.random() * maxMs);
  }

  expect(isTrue: boolean, otherwise: string): void {
    if (!isTrue) this.violations.push(otherwise);
  }

  /** Polls until it is true; a violation if that takes too long. @returns ms. */
  async until(
    isTrue: () => boolean | Promise<boolean>,
    what: string,
    patienceMs = RECOVERY_PATIENCE_MS,
  ): Promise<number> {
    const fromMs = performance.now();
    while (!(await isTrue())) {
      if (performance.now() - fromMs > patienceMs) {
        this.violations.push(`not in ${patienceMs / 1000} s: ${what}`);
        break;
      }
      await sleep(10);
    }
    return performance.now() - fromMs;
  }

  /** A SIGKILL of a process that serves requests: what was in flight between now and the end of the wait may be lost. */
  async killServing(pid: number, isBack: () => boolean | Promise<boolean>, what: string): Promise<number> {
    const fromMs = performance.now();
    this.countersAreWhole = false;
    process.kill(pid, 'SIGKILL');
    const tookMs = await this.until(isBack, what);
    this.kills.push({ fromMs, untilMs: performance.now() });
    this.#remember();
    return tookMs;
  }

  /** What starts everything again, after the supervisor is gone: same address, same data. */
  async startAgain(): Promise<void> {
    const { directory, port } = this.gateway;
    const { env, args } = this.#options;
    this.gateway = await startGateway({
      mode: this.#context.mode,
      config: this.#config,
      directory,
      port,
      ...(env === undefined ? {} : { env }),
      ...(args === undefined ? {} : { args }),
    });
    this.#remember();
  }

  async isReady(): Promise<boolean> {
    try {
      return (await ask(this.gateway.port, { method: 'GET', path: '/health/readiness' })).status === 200;
    } catch {
      return false;
    }
  }

  async admin(path: string): Promise<RawReply> {
    return ask(this.gateway.port, { method: 'GET', path, key: MASTER_KEY });
  }

  /** The sum of a metric over its labels; 0 when there is none. */
  async metric(name: string): Promise<number> {
    const { text } = await this.admin('/metrics');
    const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  /**
   * The end of every scenario: good requests work, nothing is in flight, every request is accounted for, and the gateway
   * stops in order.
   *
   * @param facts of the scenario itself, for the table.
   */
  async finish(facts: ScenarioReport['facts'] = {}): Promise<ScenarioReport> {
    await this.#goodRequestsWork();
    let inFlight = Number.NaN;
    const isIdle = async (): Promise<boolean> => {
      inFlight = (await this.metric('slipstream_in_flight_requests')) - 1; // the look itself
      return inFlight === 0;
    };
    await this.until(isIdle, 'no request in flight by its own account', IN_FLIGHT_PATIENCE_MS);
    if (inFlight !== 0) this.violations.push(`${inFlight} requests in flight for ever`);
    for (const gauge of ZERO_AT_REST) {
      await this.until(async () => (await this.metric(gauge)) === 0, `${gauge} is 0 at rest`, IN_FLIGHT_PATIENCE_MS);
    }
    const dropped = await this.metric('slipstream_journal_dropped_total');
    const refused = await this.metric('slipstream_refused_before_authentication_total');
    this.#remember();
    const exitCode = await this.gateway.stop({ keepData: true });
    this.expect(exitCode === 0, `the gateway ended with ${exitCode}:\n${this.gateway.output().slice(-2000)}`);
    const verdict = checkJournal({
      runId: this.runId,
      outcomes: this.outcomes,
      journal: readJournalDirectory(join(this.gateway.dataDirectory, 'journal')),
      kills: this.kills,
      unread: this.unread,
      dropped,
      refusedBeforeAuthentication: this.countersAreWhole ? refused : null,
    });
    const verified = spawnSync(
      process.execPath,
      [LAUNCHER, 'journal', 'verify', '--data-dir', this.gateway.dataDirectory],
      {
        encoding: 'utf8',
      },
    );
    this.expect(verified.status === 0, `journal verify: ${verified.stdout}${verified.stderr}`);
    this.#repliesWereMade();
    for (const outcome of this.outcomes.filter(({ ending }) => ending === 'wrong').slice(0, 3)) {
      this.violations.push(`wrong answer to #${outcome.number} ${outcome.plan.model}: ${outcome.detail}`);
    }
    const { sent, journaled, inFlightAtKill } = verdict;
    return {
      facts: {
        sent,
        journaled,
        refused: verdict.refused,
        inFlightAtKill,
        dropped: verdict.missing,
        unread: verdict.unread,
        ...endings(this.outcomes),
        ...facts,
      },
      violations: [...this.violations, ...verdict.violations],
    };
  }

  async #goodRequestsWork(): Promise<void> {
    const before = this.outcomes.length;
    const load = this.startLoad({
      qps: 200,
      clients: 8,
      plan: (number) => ({ model: 'good', stream: number % 3 === 0 }),
    });
    await this.until(() => this.outcomes.length >= before + 24, 'good requests are answered afterwards');
    await load.stop();
    const failed = this.outcomes.slice(before).filter(({ ending, status }) => ending !== 'complete' || status !== 200);
    const [first] = failed;
    if (first !== undefined) {
      this.violations.push(
        `afterwards ${failed.length} good requests fail: ${first.ending} ${first.status} ${first.detail}`,
      );
    }
  }

  /** What is said to be a provider's answer must have been made by one. */
  #repliesWereMade(): void {
    const made = new Set<string>();
    for (const path of [this.#mockLog, this.providers.faults.logPath, ...(this.#options.providerLogs ?? [])]) {
      for (const line of readFileSync(path, 'utf8').split('\n')) {
        const nonce = /"nonce":"nonce-(\d{10})"/.exec(line)?.[1];
        if (nonce !== undefined) made.add(nonce);
      }
    }
    const invented = this.outcomes.filter(
      ({ ending, status, number }) =>
        ending === 'complete' && status === 200 && !made.has(String(number).padStart(10, '0')),
    );
    if (invented.length > 0) this.violations.push(`${invented.length} answers that no provider made`);
  }

  #remember(): void {
    if (this.gateway.process.pid === undefined) return;
    for (const { pid } of processTree(this.gateway.process.pid)) this.#pids.add(pid);
  }

  #killAll(): void {
    this.#remember();
    for (const pid of this.#pids) {
      // A number that belongs to somebody else by now is left alone.
      if (!commandOf(pid).includes(this.gateway.dataDirectory)) continue;
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // gone
      }
    }
  }
}

interface Started {
  readonly config: string;
  readonly mockLog: string;
  readonly providers: Providers;
  readonly gateway: Gateway;
}

/** How requests ended, in numbers: `ok`, statuses of errors, and whatever is not a whole answer. */
function endings(outcomes: readonly Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { ending, status } of outcomes) {
    const name = ending === 'complete' ? (status === 200 ? 'ok' : `status ${status}`) : ending;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
