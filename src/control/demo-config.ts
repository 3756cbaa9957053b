import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DATA_FILES } from '../contract/persisted-state.ts';
import { writeFileAtomically } from '../runtime/sealed-file.ts';
import type { ConfigSource, Environment } from './config/config-source.ts';
import type { Findings } from './config/findings.ts';
import { readYaml } from './config/yaml-reader.ts';

const DEMO_KEY = /^sk-demo-[A-Za-z0-9_-]{32}$/;

/** The configuration without a configuration: the mock provider's two models. */
export function demoConfigSource(mockUrl: string, environment: Environment, findings: Findings): ConfigSource {
  const base = mockUrl.replace(/\/+$/, '');
  const text = JSON.stringify({
    model_list: [
      mockModel('mock-gpt', 'openai/mock-gpt', `${base}/v1`),
      mockModel('mock-claude', 'anthropic/mock-claude', base),
    ],
  });
  const root = readYaml(text, 'built-in demo configuration', findings);
  const position = { file: 'built-in demo configuration', line: 1, column: 1 };
  return {
    root: root?.kind === 'map' ? root : { kind: 'map', position, entries: new Map() },
    files: [],
    // The mock is on this machine: no proxy leads there. The machine's own credentials are none of the demo's.
    environment: Object.fromEntries(Object.entries(environment).filter(([name]) => name.startsWith('SLIPSTREAM_'))),
  };
}

function mockModel(name: string, model: string, apiBase: string): object {
  return { model_name: name, litellm_params: { model, api_base: apiBase, api_key: 'mock' }, model_info: { id: name } };
}

/** The demo's master key: random, made at first start, kept in the data directory for the owner only. */
export function loadOrCreateDemoKey(dataDirectory: string): string {
  const path = join(dataDirectory, DATA_FILES.demoKey);
  const existing = readIfPresent(path);
  if (DEMO_KEY.test(existing)) return existing;
  const key = `sk-demo-${randomBytes(24).toString('base64url')}`;
  writeFileAtomically(path, Buffer.from(`${key}\n`));
  return key;
}

function readIfPresent(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}
