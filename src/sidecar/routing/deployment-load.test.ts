import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { MetricsRegistry } from '../../runtime/metrics-registry.ts';
import { newSharedMemory, type SharedMemory } from '../worker/shared-memory.ts';
import { SidecarMetrics } from '../worker/sidecar-metrics.ts';
import { clearInFlight, DeploymentLoad, type LoadedDeployment } from './deployment-load.ts';

const NOON = Date.UTC(2026, 10, 22, 12, 0, 0);

let memory: SharedMemory;
/** Two workers of one sidecar. */
let one: DeploymentLoad;
let other: DeploymentLoad;
let deployment: LoadedDeployment;

function loadOf(workerIndex: number): DeploymentLoad {
  const metrics = new SidecarMetrics(new MetricsRegistry({ publish: () => undefined }));
  return new DeploymentLoad({ ...memory, workerIndex }, metrics, NOON);
}

beforeEach(() => {
  memory = newSharedMemory(2, { windowMs: 60_000, maxSubjects: 64 });
  one = loadOf(0);
  other = loadOf(1);
  deployment = { ...one.placeOf('d'), latencyTtlMs: 60_000, tracksUsage: true };
});

describe('rows', () => {
  it('are found by name by every worker', () => {
    assert.equal(other.placeOf('d').loadRow, deployment.loadRow);
    assert.notEqual(one.placeOf('e').loadRow, deployment.loadRow);
  });

  it('run out into one that is shared, which still counts', () => {
    const rows = new Set<number>();
    for (let n = 0; n < 9000; n += 1) rows.add(one.placeOf(`deployment ${n}`).loadRow);
    assert.equal(rows.size, 8192, '8,191 beside `d`, and the shared one');
    const late = { ...deployment, ...one.placeOf('deployment 8999') };
    one.started(late);
    assert.equal(other.inFlight(other.placeOf('deployment 8999').loadRow), 1);
    one.ended(late);
    assert.equal(other.inFlight(late.loadRow), 0);
  });
});

describe('in flight', () => {
  it('is the sum over the workers', () => {
    one.started(deployment);
    other.started(deployment);
    other.started(deployment);
    assert.equal(one.inFlight(deployment.loadRow), 3);
    other.ended(deployment);
    assert.equal(one.inFlight(deployment.loadRow), 2);
  });

  it('of a worker that died is cleared, and no one else’s', () => {
    one.started(deployment);
    other.started(deployment);
    other.used(deployment, 7);
    clearInFlight(memory.deploymentLoad, 1);
    assert.equal(one.inFlight(deployment.loadRow), 1);
    assert.equal(one.tokensThisMinute(deployment.loadRow), 7, 'what it used stays used');
  });
});

describe('usage of the minute', () => {
  it('is the sum over the workers, and begins anew with the minute', () => {
    one.started(deployment);
    other.started(deployment);
    one.used(deployment, 5);
    other.used(deployment, 6);
    assert.deepEqual([one.requestsThisMinute(deployment.loadRow), one.tokensThisMinute(deployment.loadRow)], [2, 11]);
    one.tick(NOON + 59_999);
    assert.equal(one.tokensThisMinute(deployment.loadRow), 11);
    one.tick(NOON + 60_000);
    assert.deepEqual([one.requestsThisMinute(deployment.loadRow), one.tokensThisMinute(deployment.loadRow)], [0, 0]);
    one.used(deployment, 3);
    assert.equal(one.tokensThisMinute(deployment.loadRow), 3);
  });

  it('is not counted where the strategy does not ask', () => {
    one.started({ ...deployment, tracksUsage: false });
    one.used({ ...deployment, tracksUsage: false }, 5);
    assert.deepEqual([one.requestsThisMinute(deployment.loadRow), one.tokensThisMinute(deployment.loadRow)], [0, 0]);
  });

  it('does not overflow', () => {
    one.used(deployment, 2 ** 40);
    one.used(deployment, 2 ** 40);
    assert.equal(one.tokensThisMinute(deployment.loadRow), 2 ** 31 - 1);
  });
});

describe('latency', () => {
  const latency = (isStream: boolean): number => one.latency(deployment, isStream);

  it('is 0 before the first sample, and again when the last is older than the time to live', () => {
    assert.equal(latency(true), 0);
    other.firstEvent(deployment, 200);
    assert.equal(latency(true), 200);
    assert.equal(latency(false), 0, 'streams and others are apart');
    one.tick(NOON + 60_000);
    assert.equal(latency(true), 200);
    assert.equal(one.latencyAgeMs(deployment, true), 60_000);
    one.tick(NOON + 60_001);
    assert.equal(latency(true), 0);
    one.firstEvent(deployment, 50);
    assert.equal(latency(true), 50, 'what is forgotten has no part in the average');
  });

  it('follows the samples', () => {
    one.firstEvent(deployment, 100);
    for (let n = 0; n < 10; n += 1) other.firstEvent(deployment, 200);
    assert.ok(latency(true) > 185 && latency(true) < 200);
  });

  it('of whole answers is per token, by the sums: a short answer does not count like a long one', () => {
    one.completed(deployment, 1000, 100);
    assert.equal(latency(false), 10);
    one.completed(deployment, 200, 1);
    assert.ok(latency(false) < 11, String(latency(false)));
    const other = { ...deployment, ...one.placeOf('embeddings') };
    one.completed(other, 30, 0);
    assert.equal(one.latency(other, false), 30, 'per request where no tokens are reported');
  });

  it('of what fails fast is that of something slow', () => {
    one.firstEvent(deployment, 100);
    one.failed(deployment, true, 1, false);
    assert.ok(latency(true) > 1000);
    one.failed(deployment, false, 1, false);
    assert.equal(latency(false), 10_000);
  });

  it('is not moved by a timeout shorter than what is usual', () => {
    one.firstEvent(deployment, 100);
    one.failed(deployment, true, 20, true);
    assert.equal(latency(true), 100);
    one.failed(deployment, true, 600, true);
    assert.equal(latency(true), 200);
  });

  it('is not kept where the strategy does not ask', () => {
    const plain = { ...deployment, latencyTtlMs: 0 };
    one.firstEvent(plain, 1);
    one.completed(plain, 1, 1);
    one.failed(plain, true, 1, false);
    assert.deepEqual([latency(true), latency(false)], [0, 0]);
  });
});
