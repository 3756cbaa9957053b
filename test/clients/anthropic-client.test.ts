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

    it('counts tokens', async () => {
      const count = await client.messages.countTokens({ model: 'claude', messages: HELLO.messages });
      assert.ok(count.input_tokens > 0);
    });

    it('gets errors in its own envelope, typed', async () => {
      await assert.rejects(client.messages.create({ model: 'claude-limited', ...HELLO }), Anthropic.RateLimitError);
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
  });
}
