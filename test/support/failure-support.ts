import assert from 'node:assert/strict';
import type { DeploymentSpec, FailureSettings } from '../../src/contract/snapshot.ts';
import type { UsageEvent } from '../../src/contract/usage-event.ts';
import { RawClient, requestBytes, type RawReply } from './raw-client.ts';
import { jsonReply, ScriptedUpstream, type UpstreamScript } from './scripted-upstream.ts';
import {
  deployment,
  productFailure,
  snapshotOf,
  startSidecar,
  TEST_KEY,
  type SidecarHarness,
  type SnapshotParts,
} from './sidecar-harness.ts';

export const OK: UpstreamScript = (_request, reply) => {
  reply.write(jsonReply('{"model":"up"}'));
};

/** A provider's error, with its own body and headers. */
export const fails =
  (status: number, headers: readonly string[] = [], body = `{"error":{"message":"${status}"}}`): UpstreamScript =>
  (_request, reply) => {
    reply.write(jsonReply(body, status, headers));
  };

export const resets: UpstreamScript = (_request, reply) => {
  reply.reset();
};

/** Never answers. */
export const hangs: UpstreamScript = () => undefined;

export interface FailureWorld {
  readonly gateway: SidecarHarness;
  readonly upstreams: Readonly<Record<string, ScriptedUpstream>>;
  /** In which order the providers were asked since the last `answers` or `forget`. */
  readonly asked: string[];
  answers(name: string, script: UpstreamScript): void;
  forget(): void;
  run(model: string, more?: object, headers?: readonly string[]): Promise<FailureResult>;
}

export interface FailureResult {
  readonly reply: RawReply;
  readonly event: UsageEvent;
  readonly order: string;
}

export interface WorldParts extends SnapshotParts {
  readonly failure?: Partial<FailureSettings>;
  /** More of a deployment's spec, by its id. */
  readonly specs?: Readonly<Record<string, Partial<DeploymentSpec>>>;
}

/**
 * A gateway with the product's own rules of failure, and providers of one letter each: `{gpt: 'ab', alone: 'c'}`. They are tried in this
 * order, so that a test can say who comes next; waits are short.
 */
export async function withWorld(
  groups: Readonly<Record<string, string>>,
  parts: WorldParts,
  body: (world: FailureWorld) => Promise<void>,
): Promise<void> {
  const { failure, specs, settings, ...rest } = parts;
  const upstreams: Record<string, ScriptedUpstream> = {};
  const asked: string[] = [];
  const deployments: DeploymentSpec[] = [];
  const answers = (name: string, script: UpstreamScript): void => {
    upstreams[name]!.script = (request, reply, index) => {
      asked.push(name);
      return script(request, reply, index);
    };
  };
  for (const [group, names] of Object.entries(groups)) {
    for (const [order, name] of names.split('').entries()) {
      const upstream = await ScriptedUpstream.start(OK);
      upstreams[name] = upstream;
      answers(name, OK);
      deployments.push(deployment(group, upstream.port, { id: name, order, ...specs?.[name] }));
    }
  }
  const quick = { backOff: { initialMs: 0, maxMs: 0, floorMs: 0 } };
  const gateway = await startSidecar({
    snapshot: snapshotOf(deployments, {
      ...rest,
      settings: { failure: productFailure({ ...quick, ...failure }), ...settings },
      timeouts: { drainMs: 300, ...rest.timeouts },
    }),
  });
  const run = async (model: string, more: object = {}, headers: readonly string[] = []): Promise<FailureResult> => {
    asked.length = 0;
    const client = new RawClient(gateway.port);
    const reply = await client
      .send(requestBytes({ key: TEST_KEY, headers, body: JSON.stringify({ model, ...more }) }))
      .reply();
    client.close();
    const id = reply.header('x-slipstream-call-id');
    const event = gateway.journal().find((one) => one.id === id);
    assert.ok(event !== undefined, 'the event was written before the answer left');
    return { reply, event, order: asked.join('') };
  };
  const forget = (): void => {
    asked.length = 0;
  };
  try {
    await body({ gateway, upstreams, asked, answers, forget, run });
    for (const upstream of Object.values(upstreams)) assert.equal(upstream.fault, null);
  } finally {
    await gateway.stop();
    for (const upstream of Object.values(upstreams)) upstream.stop();
  }
}
