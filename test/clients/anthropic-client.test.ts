import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { MODES } from '../support/gateway.ts';
import { CLIENT_KEY, eventually, setUpClients, type ClientSetup } from './client-test-support.ts';

const HELLO = { max_tokens: 64, messages: [{ role: 'user' as const, content: 'hello' }] };
const WEATHER_TOOL = {
  name: 'get_weather',
  input_schema: { type: 'object' as const, properties: { city: { type: 'string' } }, required: ['city'] },
};

for (const mode of MODES) {
  describe(`Anthropic SDK, ${mode}`, () => {
    let setup: ClientSetup;
    let client: Anthropic;

    before(async () => {
      setup = await setUpClients(mode);
      client = new Anthropic({ apiKey: CLIENT_KEY, baseURL: setup.gateway.url, maxRetries: 0 });
    });
    after(() => setup.close());

    it('gets a message, under the name it asked for', async () => {
      const message = await client.messages.create({ model: 'claude', ...HELLO });
      assert.equal(message.model, 'claude');
      assert.equal(message.stop_reason, 'end_turn');
      assert.equal(message.content[0]?.type, 'text');
      assert.ok(message.usage.output_tokens > 0);
    });

    it('streams a message', async () => {
      const message = await client.messages.stream({ model: 'claude', ...HELLO }).finalMessage();
      assert.equal(message.model, 'claude');
      assert.equal(message.stop_reason, 'end_turn');
      const event = await eventually(() => setup.gateway.journal().find((entry) => entry.stream));
      assert.equal(event.usage?.outputTokens, message.usage.output_tokens);
    });

    it('uses tools', async () => {
      const message = await client.messages.create({ model: 'claude', ...HELLO, tools: [WEATHER_TOOL] });
      assert.equal(message.stop_reason, 'tool_use');
      const use = message.content.find((block) => block.type === 'tool_use');
      assert.ok(use !== undefined && 'city' in (use.input as object));
    });

    it('streams the use of a tool', async () => {
      const message = await client.messages.stream({ model: 'claude', ...HELLO, tools: [WEATHER_TOOL] }).finalMessage();
      assert.equal(message.stop_reason, 'tool_use');
      const use = message.content.find((block) => block.type === 'tool_use');
      assert.ok(use !== undefined && 'city' in (use.input as object));
    });

    it('counts tokens', async () => {
      const count = await client.messages.countTokens({ model: 'claude', messages: HELLO.messages });
      assert.ok(count.input_tokens > 0);
    });

    it('gets errors in its own envelope, typed', async () => {
      await assert.rejects(client.messages.create({ model: 'claude-limited', ...HELLO }), Anthropic.RateLimitError);
      await assert.rejects(client.messages.create({ model: 'claude-broken', ...HELLO }), Anthropic.InternalServerError);
      await assert.rejects(
        client.messages.create({ model: 'claude-refused', ...HELLO }),
        Anthropic.AuthenticationError,
      );
      await assert.rejects(client.messages.create({ model: 'nowhere', ...HELLO }), Anthropic.BadRequestError);
      await assert.rejects(client.messages.create({ model: 'chat', ...HELLO }), (error) => {
        assert.ok(error instanceof Anthropic.BadRequestError);
        assert.match(error.message, /\/v1\/chat\/completions/);
        return true;
      });
      const stranger = new Anthropic({ apiKey: 'sk-stranger', baseURL: setup.gateway.url, maxRetries: 0 });
      await assert.rejects(stranger.messages.create({ model: 'claude', ...HELLO }), (error) => {
        assert.ok(error instanceof Anthropic.AuthenticationError);
        assert.equal((error.error as { type?: string }).type, 'error');
        return true;
      });
    });

    it("retries itself when told to, on top of the gateway's own retry", async () => {
      const before = setup.mock.requestCount();
      const retrying = client.withOptions({ maxRetries: 1 });
      await assert.rejects(retrying.messages.create({ model: 'claude-broken', ...HELLO }));
      assert.equal(setup.mock.requestCount() - before, 4);
    });

    it('aborts in the middle: the provider is let go and the event says so', async () => {
      const stream = await client.messages.create({ model: 'claude-slow-stream', ...HELLO, stream: true });
      let seen = 0;
      for await (const event of stream) {
        if (event.type === 'content_block_delta') seen += 1;
        if (seen === 5) break;
      }
      const event = await eventually(() =>
        setup.gateway.journal().find((entry) => entry.model === 'claude-slow-stream'),
      );
      assert.equal(event.aborted, 'client_gone');
      assert.equal(event.status, 200);
    });

    it('gives up waiting: the provider is let go', async () => {
      const impatient = client.withOptions({ timeout: 300 });
      await assert.rejects(
        impatient.messages.create({ model: 'claude-slow', ...HELLO }),
        Anthropic.APIConnectionTimeoutError,
      );
      const event = await eventually(() => setup.gateway.journal().find((entry) => entry.model === 'claude-slow'));
      assert.equal(event.aborted, 'client_gone');
    });
  });
}
