import type { DeploymentSpec } from '../../src/contract/snapshot.ts';
import { eventually, RawClient } from './raw-client.ts';
import { chatBytes } from './flow-support.ts';
import { deployment } from './sidecar-harness.ts';
import { jsonReply, ScriptedUpstream, type UpstreamReply } from './scripted-upstream.ts';

/** Three providers that count what they get, and hold back the answers to requests that say `"hold":true`. */
export class ThreeUpstreams {
  readonly all: readonly ScriptedUpstream[];
  /** Answers held back, by provider. */
  readonly held: UpstreamReply[][] = [[], [], []];
  readonly #clients: RawClient[] = [];

  private constructor(all: readonly ScriptedUpstream[]) {
    this.all = all;
    this.reset();
  }

  static async start(): Promise<ThreeUpstreams> {
    const start = (): Promise<ScriptedUpstream> => ScriptedUpstream.start(() => undefined);
    return new ThreeUpstreams([await start(), await start(), await start()]);
  }

  /** All answer `{}` again, and have got nothing. */
  reset(): void {
    for (const [index, upstream] of this.all.entries()) {
      upstream.requests.length = 0;
      upstream.script = (request, reply) => {
        if (request.body.includes('"hold":true')) this.held[index]!.push(reply);
        else reply.write(jsonReply('{}'));
      };
    }
  }

  /** Requests that each has got. */
  get counts(): number[] {
    return this.all.map(({ requests }) => requests.length);
  }

  /** One deployment of `groupName` at each, in order. */
  deployments(groupName: string, rest: readonly Partial<DeploymentSpec>[] = []): DeploymentSpec[] {
    return this.all.map((upstream, index) =>
      deployment(groupName, upstream.port, { id: `${groupName}-${index}`, ...rest[index] }),
    );
  }

  /** Sends a request on a connection of its own, and waits until a provider has it. */
  async hold(port: number, model: string): Promise<void> {
    const before = this.#heldCount;
    this.#clients.push(new RawClient(port).send(chatBytes(model, ',"hold":true')));
    await eventually(() => this.#heldCount > before, 'a provider has the request');
  }

  /** Answers what one provider, or each, holds back; resolves when the clients have it. */
  async release(provider?: number): Promise<void> {
    for (const [index, replies] of this.held.entries()) {
      if (provider !== undefined && provider !== index) continue;
      for (const reply of replies.splice(0)) reply.write(jsonReply('{}'));
    }
    const open = this.#heldCount;
    const waiting = (): number => this.#clients.filter(({ received }) => received.length === 0).length;
    await eventually(() => waiting() === open, 'the answers are there');
  }

  /** What is held back will never be answered. */
  forget(): void {
    for (const replies of this.held) replies.length = 0;
    for (const client of this.#clients.splice(0)) client.close();
  }

  stop(): void {
    for (const client of this.#clients) client.close();
    for (const upstream of this.all) upstream.stop();
  }

  get #heldCount(): number {
    return this.held.reduce((sum, replies) => sum + replies.length, 0);
  }
}
