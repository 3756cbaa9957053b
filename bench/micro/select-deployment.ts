// Nanoseconds per choice of a deployment, by strategy and number of deployments, and per attempt counted.
//   node bin/slipstream.js node -- bench/micro/select-deployment.ts
import { asBytes } from '../../src/base/bytes.ts';
import { JsonObjectScanner } from '../../src/base/json-object-scanner.ts';
import { SharedQuota } from '../../src/contract/shared-quota.ts';
import type { RoutingSettings } from '../../src/contract/snapshot.ts';
import { REQUEST_KEYS } from '../../src/domain/request/request-fields.ts';
import { ROUTING_STRATEGIES, type RoutingStrategy } from '../../src/domain/routing/routing-strategy.ts';
import { MetricsRegistry } from '../../src/runtime/metrics-registry.ts';
import { compileSnapshot, type CompiledGroup } from '../../src/sidecar/compiled-snapshot.ts';
import { BlockPool } from '../../src/sidecar/exchange/block-pool.ts';
import type { Exchange } from '../../src/sidecar/exchange/exchange.ts';
import { RequestBody } from '../../src/sidecar/exchange/request-body.ts';
import { DeploymentHealth } from '../../src/sidecar/routing/deployment-health.ts';
import { MemoryBudget } from '../../src/sidecar/overload/memory-budget.ts';
import { DeploymentLoad } from '../../src/sidecar/routing/deployment-load.ts';
import { selectDeployment } from '../../src/sidecar/routing/select-deployment.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { WorkerLimits } from '../../src/sidecar/limits/worker-limits.ts';
import { UpstreamPools } from '../../src/sidecar/upstream/upstream-pools.ts';
import { newSharedMemory } from '../../src/sidecar/worker/shared-memory.ts';
import { SidecarMetrics } from '../../src/sidecar/worker/sidecar-metrics.ts';
import { HeaderTable } from '../../src/http1/header-table.ts';
import { DEFAULT_LIMITS } from '../../src/http1/limits.ts';
import { deployment, ROUTING, snapshotOf } from '../../test/support/sidecar-harness.ts';
import { medianNanoseconds } from './http1-median-time.ts';

const SIZES = [2, 10, 100];
const WORKERS = 2;

const registry = new MetricsRegistry({ publish: () => undefined });
const shared = newSharedMemory(WORKERS, { windowMs: 60_000, maxSubjects: 1024 });
const load = new DeploymentLoad(shared, new SidecarMetrics(registry), Date.now());
const health = new DeploymentHealth(shared.deploymentHealth, { onBenched: () => undefined, onBack: () => undefined });
const logger = createLogger({ level: 'error', format: 'json', name: 'bench', write: () => undefined });
const limits = new WorkerLimits(shared, registry, logger);
const pools = new UpstreamPools({
  connectTimeoutMs: 1000,
  poolWaitMs: 1000,
  idleTimeoutMs: 1000,
  parserLimits: DEFAULT_LIMITS,
});

function groupOf(size: number, routing: RoutingSettings): CompiledGroup {
  const deployments = Array.from({ length: size }, (_, n) =>
    deployment('gpt', 9000 + n, { weight: 1 + (n % 3), tags: n % 2 === 0 ? ['even'] : ['odd'] }),
  );
  const snapshot = snapshotOf(deployments, { settings: { routing } });
  const group = compileSnapshot(snapshot, { pools, load, health, limits }).groups.get('gpt')!;
  for (const [n, member] of group.deployments.entries()) {
    for (let k = 0; k < n % 5; k += 1) load.started(member);
    load.completed(member, 500 + 7 * n, 100);
  }
  return group;
}

/** What a choice sees of a request with a system prompt of 6 KB. */
function exchangeOf(tags: readonly string[]): Exchange {
  const messages = [{ role: 'system', content: 'You are a careful assistant. '.repeat(200) }];
  const bytes = asBytes(Buffer.from(JSON.stringify({ model: 'gpt', messages })));
  const scanner = new JsonObjectScanner(REQUEST_KEYS);
  scanner.push(bytes, 0, bytes.length);
  scanner.finish();
  const body = new RequestBody(new BlockPool(), new MemoryBudget(SharedQuota.memoryFor(1), 0));
  body.push(bytes, 0, bytes.length, true, false);
  body.finish();
  const exchange = {
    worker: { load },
    stream: false,
    tags,
    tried: [],
    scanner,
    body,
    key: null,
    route: { kind: 'llm' },
    head: { headers: new HeaderTable() },
  };
  return exchange as unknown as Exchange;
}

const isTried = (exchange: Exchange, member: CompiledGroup['deployments'][number]): boolean =>
  exchange.tried.includes(member);

function row(name: string, routing: RoutingSettings, exchange = exchangeOf([])): void {
  const times = SIZES.map((size) => {
    const group = groupOf(size, routing);
    return medianNanoseconds(() => {
      if (selectDeployment(exchange, group, isTried) === null) process.exitCode = 1;
    });
  });
  console.log(name.padEnd(40) + times.map((time) => time.toFixed(0).padStart(8)).join(''));
}

console.log('ns per choice, among this many'.padEnd(40) + SIZES.map((size) => String(size).padStart(8)).join(''));
const withStrategy = (name: RoutingStrategy): RoutingSettings => ({
  ...ROUTING,
  strategy: { ...ROUTING.strategy, name },
});
for (const name of ROUTING_STRATEGIES) row(name, withStrategy(name));
row('simple-shuffle, tags', { ...ROUTING, tagFiltering: 'any' }, exchangeOf(['even']));
const affinity = (rest: Partial<RoutingSettings['affinity']>): RoutingSettings => ({
  ...ROUTING,
  affinity: { ...ROUTING.affinity, ...rest },
});
row('session affinity on, no session', affinity({ session: true }));
row('prefix affinity, 4 KiB', affinity({ prefixBytes: 4096 }));

const plain = groupOf(2, ROUTING).deployments[0]!;
const tracked = groupOf(2, withStrategy('power-of-two')).deployments[0]!;
const attempt = medianNanoseconds(() => {
  load.started(plain);
  load.ended(plain);
});
const measured = medianNanoseconds(() => {
  load.started(tracked);
  load.ended(tracked);
  load.completed(tracked, 500, 100);
});
console.log(`${'attempt counted in and out'.padEnd(40)}${attempt.toFixed(1).padStart(8)}`);
console.log(`${'the same, latency measured'.padEnd(40)}${measured.toFixed(1).padStart(8)}`);
