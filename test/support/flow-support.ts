import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import type { DeploymentSpec } from '../../src/contract/snapshot.ts';
import type { TimeoutName } from '../../src/contract/timeouts.ts';
import type { UsageEvent } from '../../src/contract/usage-event.ts';
import { ask, eventually, RawClient, requestBytes, type RequestParts } from './raw-client.ts';
import {
  MASTER_KEY,
  snapshotOf,
  startSidecar,
  TEST_KEY,
  type HarnessOptions,
  type SidecarHarness,
  type SnapshotParts,
} from './sidecar-harness.ts';
import { ScriptedUpstream, type UpstreamScript } from './scripted-upstream.ts';

/** A gateway for one test, or one file: timeouts and the other parts of its snapshot, in short. */
export function startFlow(
  deployments: readonly DeploymentSpec[],
  timeouts: Partial<Record<TimeoutName, number>> = {},
  rest: SnapshotParts & { readonly harness?: Partial<HarnessOptions> } = {},
): Promise<SidecarHarness> {
  const { harness, ...parts } = rest;
  // A test that fails leaves its connections open; its end should not take longer for that.
  return startSidecar({
    snapshot: snapshotOf(deployments, { ...parts, timeouts: { drainMs: 500, ...timeouts } }),
    ...harness,
  });
}

/** Runs `body` with a provider and a gateway that are stopped afterwards, whatever happens. */
export async function withFlow(
  script: UpstreamScript,
  start: (upstream: ScriptedUpstream) => Promise<SidecarHarness>,
  body: (gateway: SidecarHarness, upstream: ScriptedUpstream) => Promise<void>,
): Promise<void> {
  const upstream = await ScriptedUpstream.start(script);
  try {
    const gateway = await start(upstream);
    try {
      await body(gateway, upstream);
      assert.equal(upstream.fault, null);
    } finally {
      await gateway.stop();
    }
  } finally {
    upstream.stop();
  }
}

/** A chat request of `model` with the test key. */
export function chatBytes(model: string, more = '', rest: RequestParts = {}): Buffer {
  return requestBytes({ key: TEST_KEY, body: `{"model":"${model}"${more}}`, ...rest });
}

export function chatClient(port: number, model: string, more = '', rest: RequestParts = {}): RawClient {
  return new RawClient(port).send(chatBytes(model, more, rest));
}

/** Ms since `from`, which `performance.now()` gave. */
export function since(from: number): number {
  return performance.now() - from;
}

/** A timer of Node may fire up to a millisecond before its time by `performance.now()`. */
export const CLOCK_SLACK_MS = 2;

/** The sum of a metric over its labels, as `/metrics` prints it. */
export async function metric(port: number, name: string): Promise<number> {
  const { text } = await ask(port, { method: 'GET', path: '/metrics', key: MASTER_KEY });
  const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  assert.ok(lines.length > 0, `no metric ${name}`);
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** Waits until nothing is in flight but the look at the metrics itself. */
export async function nothingInFlight(port: number): Promise<void> {
  for (let look = 0; look < 200; look += 1) {
    if ((await metric(port, 'slipstream_in_flight_requests')) === 1) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal(await metric(port, 'slipstream_in_flight_requests'), 1, 'requests are still in flight');
}

/** The only event in the journal, once it is there. */
export async function onlyEvent(gateway: SidecarHarness): Promise<UsageEvent> {
  await eventually(() => gateway.journal().length > 0, 'there is an event');
  const events = gateway.journal();
  assert.equal(events.length, 1);
  return events[0]!;
}

/** Open sockets of this process. */
export function openSockets(): number {
  let count = 0;
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${name}`).startsWith('socket:')) count += 1;
    } catch {
      // closed meanwhile: the directory's own descriptor
    }
  }
  return count;
}
