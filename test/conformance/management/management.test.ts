import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingFields } from './check-fields.ts';
import { MANAGEMENT_CALLS } from './management-calls.ts';
import { runManagementCalls } from './run-management-calls.ts';

test('every management call of the list answers with every field that LiteLLM’s has', async () => {
  assert.ok(MANAGEMENT_CALLS.length >= 60, 'there are 60 calls or more');
  await runManagementCalls({});
});

test('a reply that lacks a field, or has one of another type, fails', () => {
  const info = { key: 'sk-x', info: {} };
  assert.ok(missingFields('keyInfo', info).includes('keyInfo.info.key_alias is missing'));
  assert.deepEqual(missingFields('deletedKeys', { deleted_keys: [1] }), ['deletedKeys.deleted_keys[0] is no string']);
  assert.deepEqual(missingFields('deletedUsers', '1'), ['deletedUsers is no number']);
  assert.deepEqual(
    missingFields('membership', { user_id: 'a', team_id: 'b', spend: 1, budget_id: 2, litellm_budget_table: null }),
    ['membership.budget_id is no string|null'],
  );
});
