import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LoadShape } from './arm.ts';
import type { StartupOptions } from './bench-options.ts';
import { GatewayInstallation, startMockProcess } from './bench-processes.ts';
import { buildRequest } from './bench-request.ts';
import { BenchError } from './child-process.ts';
import type { Cleanup } from './cleanup.ts';
import { PUBLIC_MODEL } from './gateway-config.ts';
import { describeMachine } from './machine.ts';
import { probe } from './probe.ts';
import { median } from './statistics.ts';

const HOST = '127.0.0.1';
const RETRY_MS = 2;
const LIMIT_MS = 30_000;
const SHAPE: LoadShape = {
  bodyBytes: 300,
  body: 'prose',
  stream: false,
  connections: 1,
  qps: 0,
  seconds: 1,
  warmUpSeconds: 0,
  timeoutMs: 5_000,
};

/** `slipstream bench startup`: launcher spawned → first 200 through the mock. @returns the exit status. */
export async function runStartup(options: StartupOptions, cleanup: Cleanup): Promise<number> {
  const machine = describeMachine();
  const mock = await startMockProcess([], null, cleanup);
  const installed = {
    mockPort: mock.port,
    isTls: false,
    threads: null,
    withSidecar: options.withSidecar,
    cpus: null,
    keyCount: 1,
  };
  const installation = await GatewayInstallation.create(installed, cleanup);

  const coldMs = await measureStart(installation, cleanup);
  const warmMs: number[] = [];
  for (let i = 0; i < options.rounds; i++) warmMs.push(await measureStart(installation, cleanup));
  // What is cold is the compile cache alone: files are in the kernel's cache in both cases.
  rmSync(join(installation.directory, 'data'), { recursive: true, force: true });
  const freshMs = await measureStart(installation, cleanup);

  const milliseconds = (value: number): string => `${value.toFixed(0)} ms`;
  process.stdout.write(
    `Launcher spawned to first good reply through the mock, ${options.rounds} starts with a warm compile cache:\n` +
      `  median ${milliseconds(median(warmMs))} (${warmMs.map((value) => value.toFixed(0)).join(', ')})\n` +
      `  cold   ${milliseconds(coldMs)}; with an empty data directory again: ${milliseconds(freshMs)}\n`,
  );
  if (options.jsonFile !== null) {
    const result = { kind: 'startup', machine, options, medianMs: median(warmMs), warmMs, coldMs, freshMs };
    writeFileSync(options.jsonFile, `${JSON.stringify(result, null, 1)}\n`);
  }
  return 0;
}

async function measureStart(installation: GatewayInstallation, cleanup: Cleanup): Promise<number> {
  const target = { host: HOST, port: installation.port, basePath: '/v1', key: installation.config.key };
  const request = buildRequest({ ...target, model: PUBLIC_MODEL }, SHAPE);
  const spec = {
    ...SHAPE,
    host: HOST,
    port: installation.port,
    tlsServerName: null,
    tlsVerify: true,
    request: request.bytes,
    nonceAt: request.nonceAt,
    isStream: false,
    expectedBodyBytes: null,
    cpuUsers: [],
  };
  const startedAt = performance.now();
  const child = installation.spawn(cleanup);
  for (;;) {
    const isGood = await probe(spec).then(
      ({ status }) => status === 200,
      () => false,
    );
    const elapsedMs = performance.now() - startedAt;
    if (isGood) {
      await child.stop();
      return elapsedMs;
    }
    if (!child.isRunning) throw new BenchError(`the gateway did not start: ${child.output || 'no output'}`);
    if (elapsedMs > LIMIT_MS) throw new BenchError(`no good reply after ${LIMIT_MS / 1000} s: ${child.output}`);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
