import { test } from 'node:test';
import { runShownSpend } from '../conformance/management/run-shown-spend.ts';
import { testStoreOptions } from '../store/test-store.ts';

test('what budgets have spent is shown, and counts, on PostgreSQL', async (t) => {
  const { databaseUrl } = await testStoreOptions(t);
  await runShownSpend(t, 'sidecar', { DATABASE_URL: databaseUrl ?? '' });
});
