import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startMock } from '../../src/cli/mock/mock-server.ts';
import { chat, CONFIG_ENV, eventually, makeDirectory, SlipstreamProcess, writeConfig } from './slipstream-process.ts';

/** A provider that says when a request has reached it. */
export interface WatchedMock {
  readonly url: string;
  /** Sends a request that takes 1.2 s to the gateway; resolves when it has reached the provider. */
  startSlowRequest(gatewayUrl: string): Promise<{ answer: Promise<{ status: number; text: string }> }>;
  close(): Promise<void>;
}

export async function startWatchedMock(): Promise<WatchedMock> {
  const atProvider: string[] = [];
  const mock = await startMock({
    host: '127.0.0.1',
    port: 0,
    onRequest: (request) => {
      if (request.body.includes('slow-')) atProvider.push(request.body.toString());
    },
  });
  return {
    url: mock.url,
    startSlowRequest: async (gatewayUrl) => {
      const content = `slow-${randomUUID()}`;
      const answer = chat(gatewayUrl, { model: 'slow', content });
      await eventually(() => atProvider.some((body) => body.includes(content)), 'the provider has the request');
      return { answer };
    },
    close: () => mock.close(),
  };
}

/** A gateway with that provider, ready. */
export async function startAt(
  mock: WatchedMock,
  t: TestContext,
  args: readonly string[] = [],
  more = '',
): Promise<{ readonly gateway: SlipstreamProcess; readonly url: string; readonly config: string }> {
  const directory = makeDirectory(t);
  const config = writeConfig(directory, mock.url, more);
  const files = ['--config', config, '--data-dir', join(directory, 'data')];
  const command = ['start', '--host', '127.0.0.1', '--port', '0', ...files, ...args];
  const gateway = new SlipstreamProcess(t, command, { env: CONFIG_ENV });
  return { gateway, config, url: await gateway.ready() };
}

export function portOf(url: string): number {
  return Number(new URL(url).port);
}
