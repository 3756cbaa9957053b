import assert from 'node:assert/strict';
import { adminRequest, makeHome, withControl } from '../../control/control-harness.ts';
import { missingFields } from './check-fields.ts';
import { MANAGEMENT_CALLS, type ManagementCall } from './management-calls.ts';

const MASTER_KEY = 'sk-master-0123456789abcdef';
const CONFIG = `
model_list:
  - {model_name: gpt, litellm_params: {model: openai/gpt-4o, api_key: sk-provider-0123456789}}
  - {model_name: claude-1, litellm_params: {model: anthropic/claude-x, api_key: sk-provider-0123456789}}
general_settings: {master_key: ${MASTER_KEY}}
slipstream: {keys: [{key: sk-in-the-file-0123456789}]}
`;

/** Makes the calls in their order, on the database that `env` names, and compares each reply with its list of fields. */
export async function runManagementCalls(env: Readonly<Record<string, string>>): Promise<void> {
  const home = makeHome(CONFIG, env);
  await withControl(home, async () => {
    const kept = new Map<string, string>();
    for (const call of MANAGEMENT_CALLS) {
      const { status, json, text } = await adminRequest(home, filled(call.path, kept), {
        method: call.method,
        headers: {
          authorization: `Bearer ${filled(call.key ?? MASTER_KEY, kept)}`,
          'content-type': 'application/json',
        },
        ...(call.body === undefined ? {} : { body: filled(JSON.stringify(call.body), kept) }),
      });
      assert.equal(status, call.status ?? 200, `${call.name}: ${text}`);
      assert.deepEqual(missingFields(call.shape, json), [], call.name);
      checkValues(call, json, kept);
      for (const [name, path] of Object.entries(call.keep ?? {})) kept.set(name, String(valueAt(json, path)));
    }
    const secrets = [...kept.values()].filter((value) => value.startsWith('sk-'));
    assert.ok(secrets.length > 3);
    for (const secret of secrets) assert.ok(!home.log.join('').includes(secret), 'no key is logged');
  });
}

function checkValues(call: ManagementCall, json: unknown, kept: ReadonlyMap<string, string>): void {
  for (const [path, wanted] of Object.entries(call.holds ?? {})) {
    const expected: unknown = typeof wanted === 'string' ? filled(wanted, kept) : wanted;
    assert.deepEqual(valueAt(json, path), expected, `${call.name}: ${path}`);
  }
}

function valueAt(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inner, part) => (inner as Record<string, unknown> | null)?.[part], value);
}

function filled(text: string, kept: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => kept.get(name) ?? whole);
}
