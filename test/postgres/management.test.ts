import { test } from 'node:test';
import { runManagementCalls } from '../conformance/management/run-management-calls.ts';
import { testStoreOptions } from '../store/test-store.ts';

test('the management API answers the same on PostgreSQL', async (t) => {
  const { databaseUrl } = await testStoreOptions(t);
  await runManagementCalls({ DATABASE_URL: databaseUrl ?? '' });
});
