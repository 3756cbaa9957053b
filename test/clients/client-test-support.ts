import { startMock, type RunningMock } from '../../src/cli/mock/mock-server.ts';
import { startGateway, type Gateway, type Mode } from '../support/gateway.ts';

export const CLIENT_KEY = 'sk-client-0123456789abcdef';

/** A mock provider and a gateway in front of it, as an application's SDK sees them. */
export interface ClientSetup {
  readonly mock: RunningMock;
  readonly gateway: Gateway;
  close(): Promise<void>;
}

export async function setUpClients(mode: Mode): Promise<ClientSetup> {
  const mock = await startMock({ host: '127.0.0.1', port: 0 });
  const gateway = await startGateway({ mode, config: clientConfig(mock.url) });
  return {
    mock,
    gateway,
    close: async () => {
      await gateway.stop();
      await mock.close();
    },
  };
}

/** Everything that `source` yields. */
export async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

/** The value of `look` as soon as it has one, within 5 s. */
export async function eventually<T>(look: () => T | undefined): Promise<T> {
  for (let waitedMs = 0; waitedMs < 5_000; waitedMs += 20) {
    const value = look();
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('it did not happen in 5 s');
}

/** Model names carry the mock's instructions: `mock-up?status=429` answers 429. */
function clientConfig(mockUrl: string): string {
  const openai = (name: string, model: string): string =>
    `  - { model_name: ${name}, litellm_params: { model: "openai/${model}", api_base: "${mockUrl}/v1", api_key: sk-provider } }`;
  const anthropic = (name: string, model: string): string =>
    `  - { model_name: ${name}, litellm_params: { model: "anthropic/${model}", api_base: "${mockUrl}", api_key: sk-provider } }`;
  return [
    'model_list:',
    openai('chat', 'mock-up'),
    openai('slow', 'mock-up?ttft=60000'),
    openai('slow-stream', 'mock-up?tokens=2000&interval=20'),
    openai('limited', 'mock-up?status=429'),
    openai('broken', 'mock-up?status=500'),
    openai('refused', 'mock-up?status=401'),
    openai('embed', 'mock-embedding'),
    anthropic('claude', 'mock-claude'),
    anthropic('claude-limited', 'mock-claude?status=429'),
    anthropic('claude-broken', 'mock-claude?status=500'),
    anthropic('claude-refused', 'mock-claude?status=401'),
    anthropic('claude-slow', 'mock-claude?ttft=60000'),
    anthropic('claude-slow-stream', 'mock-claude?tokens=2000&interval=20'),
    'general_settings: { master_key: sk-master-0123456789abcdef }',
    'router_settings: { num_retries: 1 }',
    `slipstream: { keys: [ { key: ${CLIENT_KEY}, alias: client } ] }`,
    '',
  ].join('\n');
}
