import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { MODES } from '../support/gateway.ts';
import { all, CLIENT_KEY, eventually, setUpClients, type ClientSetup } from './client-test-support.ts';

const HELLO = [{ role: 'user' as const, content: 'hello' }];
const WEATHER_TOOL = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};

for (const mode of MODES) {
  describe(`openai SDK, ${mode}`, () => {
    let setup: ClientSetup;
    let client: OpenAI;

    before(async () => {
      setup = await setUpClients(mode);
      client = new OpenAI({ apiKey: CLIENT_KEY, baseURL: `${setup.gateway.url}/v1`, maxRetries: 0 });
    });
    after(() => setup.close());

    it('completes a chat, under the name it asked for', async () => {
      const { data, response } = await client.chat.completions
        .create({ model: 'chat', messages: HELLO })
        .withResponse();
      assert.equal(data.model, 'chat');
      assert.equal(data.choices[0]?.finish_reason, 'stop');
      assert.ok((data.choices[0]?.message.content ?? '').length > 10);
      assert.equal(data.usage?.completion_tokens, 16);
      assert.match(response.headers.get('x-slipstream-call-id') ?? '', /^[0-9a-f-]{36}$/);
    });

    it('streams a chat without a usage chunk nobody asked for', async () => {
      const stream = await client.chat.completions.create({ model: 'chat', messages: HELLO, stream: true });
      let text = '';
      let finish: string | null | undefined = null;
      for await (const chunk of stream) {
        assert.equal(chunk.model, 'chat');
        assert.equal(chunk.choices.length, 1);
        text += chunk.choices[0]?.delta.content ?? '';
        finish = chunk.choices[0]?.finish_reason ?? finish;
      }
      assert.ok(text.length > 10);
      assert.equal(finish, 'stop');
    });

    it('gets the usage chunk it asked for', async () => {
      const stream = await client.chat.completions.create({
        model: 'chat',
        messages: HELLO,
        stream: true,
        stream_options: { include_usage: true },
      });
      const chunks = await all(stream);
      assert.deepEqual(chunks.at(-1)?.choices, []);
      assert.equal(chunks.at(-1)?.usage?.completion_tokens, 16);
    });

    it('calls tools, whole and streamed', async () => {
      const whole = await client.chat.completions.create({ model: 'chat', messages: HELLO, tools: [WEATHER_TOOL] });
      const call = whole.choices[0]?.message.tool_calls?.[0];
      assert.equal(whole.choices[0]?.finish_reason, 'tool_calls');
      assert.ok(call?.type === 'function');
      assert.equal(call.function.name, 'get_weather');
      assert.ok('city' in (JSON.parse(call.function.arguments) as object));

      const runner = client.chat.completions.stream({ model: 'chat', messages: HELLO, tools: [WEATHER_TOOL] });
      const streamed = await runner.finalChatCompletion();
      const streamedCall = streamed.choices[0]?.message.tool_calls?.[0];
      assert.ok(streamedCall?.type === 'function');
      assert.ok('city' in (JSON.parse(streamedCall.function.arguments) as object));
    });

    it('embeds', async () => {
      const { data } = await client.embeddings.create({ model: 'embed', input: ['one', 'two'] });
      assert.equal(data.length, 2);
      assert.ok(data.every((entry) => entry.embedding.length > 0));
    });

    it('makes, reads, continues and deletes a response', async () => {
      const made = await client.responses.create({ model: 'chat', input: 'hello' });
      assert.equal(made.status, 'completed');
      assert.ok(made.output_text.length > 0);
      const read = await client.responses.retrieve(made.id);
      assert.equal(read.id, made.id);
      const items = await client.responses.inputItems.list(made.id);
      assert.ok(items.data.length > 0);
      const next = await client.responses.create({ model: 'chat', input: 'more', previous_response_id: made.id });
      assert.equal(next.previous_response_id, made.id);
      await client.responses.delete(made.id);
      await assert.rejects(client.responses.retrieve(made.id), OpenAI.NotFoundError);
    });

    it('streams a response', async () => {
      const stream = await client.responses.create({ model: 'chat', input: 'hello', stream: true });
      const events = await all(stream);
      const last = events.at(-1);
      assert.ok(last?.type === 'response.completed');
      assert.equal(last.response.model, 'chat');
    });

    it('lists its models', async () => {
      const ids = (await all(client.models.list())).map((model) => model.id);
      assert.ok(ids.includes('chat') && ids.includes('claude'));
      assert.equal((await client.models.retrieve('chat')).id, 'chat');
    });

    it('gets provider errors as typed errors', async () => {
      await assert.rejects(
        client.chat.completions.create({ model: 'limited', messages: HELLO }),
        OpenAI.RateLimitError,
      );
      await assert.rejects(
        client.chat.completions.create({ model: 'broken', messages: HELLO }),
        OpenAI.InternalServerError,
      );
      await assert.rejects(
        client.chat.completions.create({ model: 'refused', messages: HELLO }),
        OpenAI.AuthenticationError,
      );
      await assert.rejects(client.chat.completions.create({ model: 'nowhere', messages: HELLO }), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError);
        assert.match(error.message, /nowhere/);
        assert.equal(error.code, '400');
        return true;
      });
      const stranger = new OpenAI({ apiKey: 'sk-stranger', baseURL: `${setup.gateway.url}/v1`, maxRetries: 0 });
      await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
    });

    it("retries itself when told to, on top of the gateway's own retry", async () => {
      const before = setup.mock.requestCount();
      const retrying = client.withOptions({ maxRetries: 1 });
      await assert.rejects(retrying.chat.completions.create({ model: 'broken', messages: HELLO }));
      assert.equal(setup.mock.requestCount() - before, 4);
    });

    it('aborts in the middle: the provider is let go and the event says so', async () => {
      const stream = await client.chat.completions.create({ model: 'slow-stream', messages: HELLO, stream: true });
      let seen = 0;
      for await (const chunk of stream) {
        seen += chunk.choices.length;
        if (seen === 5) break;
      }
      const event = await eventually(() => setup.gateway.journal().find((entry) => entry.model === 'slow-stream'));
      assert.equal(event.aborted, 'client_gone');
      assert.equal(event.status, 200);
    });

    it('gives up waiting: the provider is let go', async () => {
      const impatient = client.withOptions({ timeout: 300 });
      await assert.rejects(
        impatient.chat.completions.create({ model: 'slow', messages: HELLO }),
        OpenAI.APIConnectionTimeoutError,
      );
      const event = await eventually(() => setup.gateway.journal().find((entry) => entry.model === 'slow'));
      assert.equal(event.aborted, 'client_gone');
    });
  });
}
