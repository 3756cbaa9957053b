import { writeSync } from 'node:fs';
import { readProductVersion } from '../control/product-version.ts';
import type { ReadyService } from './supervisor.ts';

/** What is printed once the gateway serves. A configured key is never in it. */
function renderBanner(service: ReadyService, version: string): string {
  const url = service.listeners[0]?.url ?? '';
  const lines = service.listeners.map((listener) => `${listener.url}${listeningOn(listener)}`);
  const head = `Slipstream ${version} is ready: ${lines.join('\n  and ')}\n`;
  if (service.demoKey === null) {
    return (
      `${head}  key: general_settings.master_key of your configuration (or LITELLM_MASTER_KEY), ` +
      'or one of slipstream.keys\n'
    );
  }
  return (
    `${head}\n` +
    `  demo with a built-in mock provider, for this machine only\n` +
    `  key: ${service.demoKey}\n\n` +
    `  ${demoCommand(url, service.demoKey)}\n\n` +
    '  with your own providers: npm start -- --config FILE\n'
  );
}

/** Where the URL does not tell. */
function listeningOn({ url, address, port }: ReadyService['listeners'][number]): string {
  return port === 0 || url.includes(address) ? '' : ` (listening on ${address}, port ${port})`;
}

function demoCommand(url: string, key: string): string {
  const body = JSON.stringify({ model: 'mock-gpt', messages: [{ role: 'user', content: 'hello' }] });
  const headers = `-H "Authorization: Bearer ${key}" -H "content-type: application/json"`;
  return `curl -s ${url}/v1/chat/completions ${headers} -d '${body}'`;
}

/** Standard output may be closed, or a pipe whose reader has gone: no reason to end. */
export function printBanner(service: ReadyService): void {
  try {
    writeSync(1, renderBanner(service, readProductVersion()));
  } catch {
    // Nobody is looking.
  }
}
