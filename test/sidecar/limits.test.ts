import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KeyRecord, OwnerLimits } from '../../src/contract/key-record.ts';
import type { DeploymentSpec } from '../../src/contract/snapshot.ts';
import { metric, startFlow } from '../support/flow-support.ts';
import { ask, RawClient, requestBytes, type RawReply } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream, type UpstreamScript } from '../support/scripted-upstream.ts';
import {
  deployment,
  keyRecord,
  MASTER_KEY,
  sha256,
  TEST_KEY,
  type SidecarHarness,
  type SnapshotParts,
} from '../support/sidecar-harness.ts';

const OTHER_KEY = 'sk-other-0123456789abcdef';
const NO_LIMITS: OwnerLimits = { rpmLimit: null, tpmLimit: null, maxParallelRequests: null, modelLimits: {} };

const usageOf = (tokens: number): string =>
  `{"model":"x","usage":{"prompt_tokens":${tokens - 1},"completion_tokens":1,"total_tokens":${tokens}}}`;

/** Answers at once, with 10 tokens of usage and a rate limit of its own. */
const answer: UpstreamScript = (_request, reply) => {
  reply.write(jsonReply(usageOf(10), 200, ['x-ratelimit-remaining-requests: 4711']));
};

interface Setup {
  readonly keys: readonly Partial<KeyRecord>[];
  readonly parts?: SnapshotParts;
  readonly deployments?: (port: number) => readonly DeploymentSpec[];
  readonly script?: UpstreamScript;
}

/** A gateway with these keys: TEST_KEY, then OTHER_KEY. */
async function start(t: TestContext, { keys, parts, deployments, script }: Setup): Promise<Limited> {
  const upstream = await ScriptedUpstream.start(script ?? answer);
  const specs = deployments?.(upstream.port) ?? [
    deployment('gpt', upstream.port),
    deployment('other', upstream.port),
    deployment('claude', upstream.port, { family: 'anthropic', basePath: '' }),
  ];
  const gateway = await startFlow(
    specs,
    {},
    {
      ...parts,
      harness: { keys: keys.map((rest, index) => keyRecord([TEST_KEY, OTHER_KEY][index]!, rest)) },
    },
  );
  t.after(async () => {
    await gateway.stop();
    upstream.stop();
  });
  return new Limited(gateway, upstream);
}

class Limited {
  readonly gateway: SidecarHarness;
  readonly upstream: ScriptedUpstream;

  constructor(gateway: SidecarHarness, upstream: ScriptedUpstream) {
    this.gateway = gateway;
    this.upstream = upstream;
  }

  ask(model = 'gpt', key = TEST_KEY, more = ''): Promise<RawReply> {
    return ask(this.gateway.port, { key, body: `{"model":"${model}"${more}}` });
  }

  async statuses(count: number, model = 'gpt', key = TEST_KEY): Promise<number[]> {
    const statuses: number[] = [];
    for (let n = 0; n < count; n += 1) statuses.push((await this.ask(model, key)).status);
    return statuses;
  }
}

const messageOf = (reply: RawReply): string => (JSON.parse(reply.text) as { error: { message: string } }).error.message;

describe('requests', () => {
  it('beyond the limit of a key get 429 with all that a client needs; before it they hear what is left', async (t) => {
    const limited = await start(t, { keys: [{ rpmLimit: 2 }, {}] });
    const first = await limited.ask();
    assert.equal(first.status, 200);
    assert.equal(first.header('x-ratelimit-limit-requests'), '2');
    assert.equal(first.header('x-ratelimit-remaining-requests'), '1');
    assert.match(first.header('x-ratelimit-reset-requests') ?? '', /^(?:60|5\d)s$/);
    assert.equal(first.header('x-ratelimit-limit-tokens'), null);
    assert.equal(first.header('llm_provider-x-ratelimit-remaining-requests'), '4711');
    assert.equal((await limited.ask()).header('x-ratelimit-remaining-requests'), '0');
    const refused = await limited.ask();
    assert.equal(refused.status, 429);
    assert.equal(refused.header('x-slipstream-error'), 'rate_limited');
    assert.equal(refused.header('rate_limit_type'), 'requests');
    assert.ok(Number(refused.header('retry-after')) > 50 && Number(refused.header('retry-after')) <= 60);
    assert.match(refused.header('reset_at') ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
    assert.equal(refused.header('x-ratelimit-remaining-requests'), '0');
    const resetAt = refused.header('reset_at');
    assert.equal(
      messageOf(refused),
      `Rate limit exceeded for api_key: ${sha256(TEST_KEY)}. Limit type: requests. ` +
        `Current limit: 2, Remaining: 0. Limit resets at: ${resetAt}`,
    );
    const events = limited.gateway.journal();
    assert.deepEqual(
      events.map(({ status, error }) => [status, error]),
      [
        [200, null],
        [200, null],
        [429, 'rate_limited'],
      ],
    );
    assert.equal(limited.upstream.requests.length, 2);
    assert.equal(await metric(limited.gateway.port, 'slipstream_limit_refusals_total'), 1);
    const unlimited = await limited.ask('gpt', OTHER_KEY);
    assert.equal(unlimited.header('x-ratelimit-remaining-requests'), '4711');
  });

  it('are refused in the envelope of the client protocol', async (t) => {
    const limited = await start(t, { keys: [{ rpmLimit: 0 }] });
    const reply = await ask(limited.gateway.port, { path: '/v1/messages', key: TEST_KEY, body: '{"model":"claude"}' });
    assert.equal(reply.status, 429);
    const body = JSON.parse(reply.text) as { type: string; error: { type: string; message: string } };
    assert.equal(body.type, 'error');
    assert.equal(body.error.type, 'rate_limit_error');
    assert.match(body.error.message, /^Rate limit exceeded for api_key: /);
  });

  it('are admitted again when the window is over', async (t) => {
    const rateLimits = { windowMs: 1_000, tokenReservation: 'prompt', maxSubjects: 64 } as const;
    const limited = await start(t, { keys: [{ rpmLimit: 1 }], parts: { settings: { rateLimits } } });
    assert.deepEqual(await limited.statuses(2), [200, 429]);
    await sleep(1_005);
    assert.deepEqual(await limited.statuses(2), [200, 429]);
  });

  const team: Partial<KeyRecord> = { teamId: 't', teamLimits: { ...NO_LIMITS, rpmLimit: 2 } };
  const user: Partial<KeyRecord> = { userId: 'u', userLimits: { ...NO_LIMITS, rpmLimit: 2 } };
  for (const [name, record, who] of [
    ['a user', user, 'user: u'],
    ['a team', team, 'team: t'],
  ] as const) {
    it(`of all keys of ${name} are counted together`, async (t) => {
      const limited = await start(t, { keys: [record, record] });
      assert.deepEqual(await limited.statuses(1), [200]);
      assert.deepEqual(await limited.statuses(2, 'gpt', OTHER_KEY), [200, 429]);
      const refused = await limited.ask();
      assert.match(messageOf(refused), new RegExp(`^Rate limit exceeded for ${who}\\. `));
      assert.equal(await limited.ask('gpt', MASTER_KEY).then(({ status }) => status), 200);
    });
  }

  it('of a model group are counted over all keys, but the master key', async (t) => {
    const groupLimits = { gpt: { rpmLimit: 2, tpmLimit: null, maxParallelRequests: null } };
    const limited = await start(t, { keys: [{}, {}], parts: { groupLimits } });
    assert.deepEqual(await limited.statuses(1), [200]);
    assert.deepEqual(await limited.statuses(2, 'gpt', OTHER_KEY), [200, 429]);
    assert.match(messageOf(await limited.ask()), /^Rate limit exceeded for model_group: gpt\. /);
    assert.deepEqual(await limited.statuses(3, 'gpt', MASTER_KEY), [200, 200, 200]);
    assert.deepEqual(await limited.statuses(1, 'other'), [200]);
  });

  it('over all threads are exactly as many as the limits say', async (t) => {
    const limited = await start(t, {
      keys: [
        { rpmLimit: 60, teamId: 't', teamLimits: { ...NO_LIMITS, rpmLimit: 100 } },
        { rpmLimit: 60, teamId: 't', teamLimits: { ...NO_LIMITS, rpmLimit: 100 } },
      ],
      parts: { settings: { threads: 3 } },
    });
    const admitted = async (key: string): Promise<number> => {
      const client = new RawClient(limited.gateway.port);
      let count = 0;
      for (let n = 0; n < 30; n += 1) {
        const { status } = await client.send(requestBytes({ key, body: '{"model":"gpt"}' })).reply();
        if (status === 200) count += 1;
        else assert.equal(status, 429);
      }
      client.close();
      return count;
    };
    const counts = await Promise.all([...Array(6).fill(TEST_KEY), ...Array(6).fill(OTHER_KEY)].map(admitted));
    const sum = (of: readonly number[]): number => of.reduce((total, count) => total + count, 0);
    assert.equal(sum(counts), 100);
    assert.ok(sum(counts.slice(0, 6)) <= 60 && sum(counts.slice(6)) <= 60);
  });

  it('that a later limit refuses leave no trace in the earlier ones', async (t) => {
    const limited = await start(t, {
      keys: [
        {
          rpmLimit: 10,
          tpmLimit: 1_000,
          userId: 'u',
          userLimits: { ...NO_LIMITS, rpmLimit: 5, tpmLimit: 500 },
          teamId: 't',
          teamLimits: { ...NO_LIMITS, maxParallelRequests: 0 },
        },
        { rpmLimit: 10, tpmLimit: 1_000, userId: 'u', userLimits: { ...NO_LIMITS, rpmLimit: 5, tpmLimit: 500 } },
      ],
    });
    for (let n = 0; n < 20; n += 1) {
      const refused = await limited.ask();
      assert.equal(refused.status, 429);
      assert.match(messageOf(refused), /^Rate limit exceeded for team: t\. Limit type: max_parallel_requests\. /);
      assert.equal(refused.header('retry-after'), '1');
    }
    assert.deepEqual(await limited.statuses(6, 'gpt', OTHER_KEY), [200, 200, 200, 200, 200, 429]);
  });

  it('of a member hold for all keys that the user has in the team, and no other', async (t) => {
    const member = { teamId: 't', userId: 'ann', memberLimits: { rpmLimit: 3, tpmLimit: null } };
    const limited = await start(t, { keys: [member, member] });
    assert.deepEqual(await limited.statuses(2), [200, 200]);
    assert.deepEqual(await limited.statuses(2, 'gpt', OTHER_KEY), [200, 429]);
    const refused = await limited.ask();
    assert.equal(refused.status, 429);
    assert.match(messageOf(refused), /^Rate limit exceeded for team_member: t\/ann\. Limit type: requests\. /);
    const apart = await start(t, { keys: [member, { ...member, userId: 'bob' }] });
    assert.deepEqual(await apart.statuses(3), [200, 200, 200]);
    assert.deepEqual(await apart.statuses(4, 'gpt', OTHER_KEY), [200, 200, 200, 429]);
  });

  it('by model: the key has its own limit, which stands for the team; aliases count with their group', async (t) => {
    const teamLimits: OwnerLimits = { ...NO_LIMITS, modelLimits: { gpt: { rpmLimit: 1, tpmLimit: null } } };
    const limited = await start(t, {
      keys: [
        { modelLimits: { gpt: { rpmLimit: 2, tpmLimit: null } }, teamId: 't', teamLimits },
        { teamId: 't', teamLimits },
      ],
      parts: { aliases: { fast: { group: 'gpt', hidden: false } } },
    });
    assert.deepEqual(await limited.statuses(1, 'fast'), [200]);
    assert.deepEqual(await limited.statuses(2), [200, 429]);
    const refused = await limited.ask('fast');
    assert.match(messageOf(refused), new RegExp(`^Rate limit exceeded for model_per_key: ${sha256(TEST_KEY)}:gpt\\. `));
    assert.deepEqual(await limited.statuses(2, 'other'), [200, 200]);
    assert.deepEqual(await limited.statuses(2, 'gpt', OTHER_KEY), [200, 429]);
    assert.match(messageOf(await limited.ask('gpt', OTHER_KEY)), /^Rate limit exceeded for model_per_team: t:gpt\. /);
  });

  it('of subjects that no row is left for get 503, never a way around their limit', async (t) => {
    const limited = await start(t, {
      keys: [{ rpmLimit: 5 }, { rpmLimit: 5 }],
      parts: { settings: { rateLimits: { windowMs: 60_000, tokenReservation: 'prompt', maxSubjects: 1 } } },
    });
    assert.equal((await limited.ask()).status, 200);
    const refused = await limited.ask('gpt', OTHER_KEY);
    assert.equal(refused.status, 503);
    assert.equal(refused.header('x-slipstream-error'), 'limit_table_full');
    assert.equal(refused.header('retry-after'), '60');
    assert.equal((await limited.ask()).status, 200);
    assert.match(limited.gateway.logs.join(''), /the limit table is full/);
  });
});

describe('tokens', () => {
  it('are reserved by the size of the request and become those that the provider reports', async (t) => {
    const limited = await start(t, { keys: [{ tpmLimit: 100 }] });
    // 400 bytes: 100 tokens, which is all there is.
    const pad = `,"x":"${'.'.repeat(400 - '{"model":"gpt","x":""}'.length)}"`;
    const first = await limited.ask('gpt', TEST_KEY, pad);
    assert.equal(first.status, 200);
    assert.equal(first.header('x-ratelimit-remaining-tokens'), '0');
    // Settled: 10 tokens. So this one, of 400 bytes again, is too much, and one of 360 is not.
    const refused = await limited.ask('gpt', TEST_KEY, pad);
    assert.equal(refused.status, 429);
    assert.equal(refused.header('rate_limit_type'), 'tokens');
    assert.equal(refused.header('x-ratelimit-remaining-tokens'), '90');
    assert.match(messageOf(refused), /Limit type: tokens\. Current limit: 100, Remaining: 90\. /);
    const fits = `,"x":"${'.'.repeat(360 - '{"model":"gpt","x":""}'.length)}"`;
    assert.equal((await limited.ask('gpt', TEST_KEY, fits)).header('x-ratelimit-remaining-tokens'), '0');
    assert.equal((await limited.ask()).header('x-ratelimit-remaining-tokens'), '76');
  });

  it('used beyond the reservation count, so that the next request finds the limit used up', async (t) => {
    const limited = await start(t, {
      keys: [{ tpmLimit: 100 }],
      script: (_request, reply) => {
        reply.write(jsonReply(usageOf(500)));
      },
    });
    assert.deepEqual(await limited.statuses(2), [200, 429]);
  });

  const cases = [
    ['prompt', ',"max_tokens":1000', 200],
    ['prompt+max_tokens', ',"max_tokens":40', 200],
    ['prompt+max_tokens', ',"max_tokens":1000', 429],
    ['prompt+max_tokens', ',"max_completion_tokens":1000', 429],
    ['prompt+max_tokens', ',"max_tokens":"many"', 200],
    ['off', `,"x":"${'.'.repeat(4_000)}"`, 200],
  ] as const;
  for (const [tokenReservation, more, status] of cases) {
    it(`with tpm_reservation ${tokenReservation}: ${more.slice(0, 40)} is ${status}`, async (t) => {
      const rateLimits = { windowMs: 60_000, tokenReservation, maxSubjects: 64 };
      const limited = await start(t, { keys: [{ tpmLimit: 100 }], parts: { settings: { rateLimits } } });
      assert.equal((await limited.ask('gpt', TEST_KEY, more)).status, status);
      if (tokenReservation === 'off') {
        const left = await limited.ask('gpt', TEST_KEY, more);
        assert.equal(left.header('x-ratelimit-remaining-tokens'), '90');
      }
    });
  }

  it('of a request that failed at every provider are given back; the request is counted', async (t) => {
    const limited = await start(t, {
      keys: [{ tpmLimit: 100, rpmLimit: 3 }],
      script: (_request, reply, index) => {
        reply.write(index === 0 ? jsonReply('{"error":{}}', 400) : jsonReply(usageOf(10)));
      },
    });
    assert.equal((await limited.ask()).status, 400);
    const next = await limited.ask('gpt', TEST_KEY, ',"x":"................................"');
    assert.equal(next.header('x-ratelimit-remaining-requests'), '1');
    assert.equal(next.header('x-ratelimit-remaining-tokens'), '86'); // its own 54 bytes
    assert.equal((await limited.ask()).header('x-ratelimit-remaining-tokens'), '86'); // 10 settled, 4 of its own
  });
});

describe('fallbacks', () => {
  const full = { rpmLimit: 0, tpmLimit: null, maxParallelRequests: null };

  it('go to no group whose limit is reached, and count in the one they go to', async (t) => {
    const limited = await start(t, {
      keys: [{}],
      deployments: (port) => ['gpt', 'full', 'spare'].map((name) => deployment(name, port)),
      parts: {
        settings: { numRetries: 0 },
        fallbacks: { gpt: ['full', 'spare'] },
        groupLimits: { full, spare: { ...full, rpmLimit: 1 } },
      },
      script: (request, reply) => {
        reply.write(request.body.includes('upstream-gpt') ? jsonReply('{}', 500) : jsonReply(usageOf(10)));
      },
    });
    const reply = await limited.ask();
    assert.equal(reply.status, 200);
    assert.match(limited.upstream.last.body, /upstream-spare/);
    assert.equal((await limited.ask()).status, 500);
  });

  it('let go of the place in the group they leave', async (t) => {
    let release = (): void => undefined;
    const limited = await start(t, {
      keys: [{}, {}],
      deployments: (port) => ['gpt', 'spare'].map((name) => deployment(name, port)),
      parts: {
        settings: { numRetries: 0 },
        fallbacks: { gpt: ['spare'] },
        groupLimits: { gpt: { ...full, rpmLimit: null, maxParallelRequests: 1 } },
      },
      script: (request, reply, index) => {
        if (index === 0) reply.write(jsonReply('{}', 500));
        else if (request.body.includes('upstream-spare')) {
          release = () => {
            reply.write(jsonReply('{}'));
          };
        } else reply.write(jsonReply('{}'));
      },
    });
    const slow = new RawClient(limited.gateway.port).send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' }));
    while (limited.upstream.requests.length < 2) await sleep(2);
    assert.equal((await limited.ask('gpt', OTHER_KEY)).status, 200);
    release();
    assert.equal((await slow.reply()).status, 200);
    slow.close();
  });
});

describe('deployments', () => {
  const limits = { rpmLimit: null, tpmLimit: null, maxParallelRequests: null };

  it('that have reached a limit are out; when all are, 429 says when one is back', async (t) => {
    const limited = await start(t, {
      keys: [{}],
      deployments: (port) => [
        deployment('gpt', port, { id: 'a', weight: 1_000_000, limits: { ...limits, rpmLimit: 2 } }),
        deployment('gpt', port, { id: 'b', limits: { ...limits, tpmLimit: 15 } }),
      ],
    });
    const ids = new Map<string, number>();
    for (let n = 0; n < 4; n += 1) {
      const reply = await limited.ask();
      assert.equal(reply.status, 200);
      const id = reply.header('x-slipstream-model-id') ?? '';
      ids.set(id, (ids.get(id) ?? 0) + 1);
    }
    assert.deepEqual([ids.get('a'), ids.get('b')], [2, 2]);
    const refused = await limited.ask();
    assert.equal(refused.status, 429);
    assert.equal(refused.header('x-slipstream-error'), 'no_deployments');
    const seconds = Number(refused.header('retry-after'));
    assert.ok(seconds > 50 && seconds <= 60);
    assert.match(messageOf(refused), new RegExp(`Try again in ${seconds} seconds`));
    assert.equal((await limited.ask('gpt', MASTER_KEY)).status, 429);
  });

  it('get max_parallel_requests at the same time, further ones go elsewhere', async (t) => {
    const waiting: (() => void)[] = [];
    const limited = await start(t, {
      keys: [{}],
      deployments: (port) =>
        ['a', 'b'].map((id) => deployment('gpt', port, { id, limits: { ...limits, maxParallelRequests: 2 } })),
      script: (_request, reply) => {
        waiting.push(() => {
          reply.write(jsonReply('{}'));
        });
      },
    });
    const asked = Array.from({ length: 4 }, () => limited.ask());
    while (waiting.length < 4) await sleep(2);
    const refused = await limited.ask();
    assert.equal(refused.status, 429);
    assert.equal(refused.header('retry-after'), '1');
    for (const go of waiting) go();
    const ids = (await Promise.all(asked)).map((reply) => reply.header('x-slipstream-model-id'));
    assert.equal(ids.filter((id) => id === 'a').length, 2);
    waiting.length = 0;
    const again = limited.ask();
    while (waiting.length < 1) await sleep(2);
    waiting[0]!();
    assert.equal((await again).status, 200);
  });
});
