import { writeFileSync } from 'node:fs';
import { armMemory, measureArm, probeArms, type Arm, type ArmRound } from './arm.ts';
import type { OverheadOptions } from './bench-options.ts';
import {
  GatewayInstallation,
  haproxyVersion,
  startHaproxy,
  startMockProcess,
  type BenchServer,
} from './bench-processes.ts';
import type { Cleanup } from './cleanup.ts';
import { PUBLIC_MODEL, UPSTREAM_MODEL } from './gateway-config.ts';
import { LoadGenerator } from './load-generator.ts';
import { describeMachine } from './machine.ts';
import { renderReport } from './overhead-report.ts';
import { summarizeOverhead } from './overhead-summary.ts';
import { shuffled } from './statistics.ts';

const HOST = '127.0.0.1';
/** Between two turns: what the last one left behind (closing connections, the journal) is not the next one's. */
const PAUSE_MS = 50;

/** `slipstream bench overhead`. @returns the exit status. */
export async function runOverhead(options: OverheadOptions, cleanup: Cleanup): Promise<number> {
  const machine = describeMachine();
  const version = options.withHaproxy ? haproxyVersion() : null;
  const generator = new LoadGenerator(options.cpusLoad);
  cleanup.add(() => generator.stop());
  const arms = options.target === null ? await startArms(options, cleanup) : [targetArm(options.target)];
  const lengths = await probeArms(generator, arms, options.shape);
  const memoryBefore = arms.flatMap(armMemory);

  const raw: ArmRound[] = [];
  for (let round = 0; round < options.rounds; round++) {
    for (const arm of shuffled(arms)) {
      progress(`round ${round + 1} of ${options.rounds}: ${arm.name}`);
      raw.push(await measureArm(generator, arm, turn(options, lengths.get(arm.name) ?? null, round)));
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
  progress('');

  const summary = summarizeOverhead(raw, options.shape.qps);
  const memory = arms.flatMap(armMemory);
  const report = renderReport({
    machine,
    summary,
    haproxyVersion: version,
    rounds: options.rounds,
    memory,
    ...options.shape,
  });
  process.stdout.write(report);
  if (options.jsonFile !== null) {
    const { target, ...rest } = options;
    const shownTarget = target === null ? null : { url: target.url.href, model: target.model }; // never the key
    const result = {
      kind: 'overhead',
      machine,
      haproxyVersion: version,
      options: { ...rest, target: shownTarget },
      summary,
      memoryBefore,
      memory,
      rounds: raw.map((entry) => ({ ...entry, load: { ...entry.load, latencyHistogram: undefined } })),
    };
    writeFileSync(options.jsonFile, `${JSON.stringify(result, null, 1)}\n`);
  }
  return summary.problems.length === 0 ? 0 : 1;
}

function turn(
  options: OverheadOptions,
  expectedBodyBytes: number | null,
  round: number,
): Parameters<typeof measureArm>[2] {
  return { shape: options.shape, expectedBodyBytes, round };
}

/** The mock itself. */
export function directArm(mock: BenchServer, isTls: boolean): Arm {
  const target = { host: HOST, port: mock.port, basePath: '/v1', key: 'sk-bench', model: UPSTREAM_MODEL };
  return {
    name: 'direct',
    target: { ...target, tlsServerName: isTls ? 'localhost' : null, tlsVerify: false },
    rootPid: null,
    mockPid: mock.child.pid,
  };
}

export async function startArms(options: OverheadOptions, cleanup: Cleanup): Promise<Arm[]> {
  const mock = await startMockProcess(options.mockFlags, options.cpusLoad, cleanup);
  const plain = { host: HOST, basePath: '/v1', key: 'sk-bench', model: UPSTREAM_MODEL, tlsServerName: null };
  const mockPid = mock.child.pid;
  const arms: Arm[] = [directArm(mock, options.isTls)];
  if (options.withHaproxy) {
    for (const name of ['haproxy', 'haproxy2'] as const) {
      const haproxy = await startHaproxy(name, { port: mock.port, isTls: options.isTls }, options.cpusGateway, cleanup);
      arms.push({ name, target: { ...plain, port: haproxy.port }, rootPid: haproxy.child.pid, mockPid });
    }
  }
  if (options.withGateway) arms.push(await startGatewayArm({ ...options, isWarm: true }, mock, cleanup));
  return arms;
}

/** With `isWarm` the second start of an installation: a warm compile cache, as all starts but the first have it. */
export async function startGatewayArm(
  options: Pick<OverheadOptions, 'threads' | 'withSidecar' | 'cpusGateway' | 'isTls' | 'keyCount'> & {
    readonly isWarm: boolean;
  },
  mock: BenchServer,
  cleanup: Cleanup,
): Promise<Arm> {
  const { threads, withSidecar, isTls, keyCount, cpusGateway: cpus } = options;
  const installed = { mockPort: mock.port, isTls, threads, withSidecar, cpus, keyCount };
  const installation = await GatewayInstallation.create(installed, cleanup);
  if (options.isWarm) await (await installation.start(cleanup)).child.stop();
  const gateway = await installation.start(cleanup);
  return {
    name: 'slipstream',
    target: {
      host: HOST,
      port: gateway.port,
      basePath: '/v1',
      key: installation.config.key,
      model: PUBLIC_MODEL,
      tlsServerName: null,
    },
    rootPid: gateway.child.pid,
    mockPid: mock.child.pid,
  };
}

function targetArm(target: NonNullable<OverheadOptions['target']>): Arm {
  const { url, key, model } = target;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const isTls = url.protocol === 'https:';
  return {
    name: 'target',
    target: {
      host,
      port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
      basePath: url.pathname.replace(/\/+$/, ''),
      key,
      model,
      tlsServerName: isTls ? host : null,
    },
    rootPid: null,
    mockPid: null,
  };
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}
