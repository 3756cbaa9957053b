import type { Migration } from './migration.ts';

/** What was spent in each window of each budget, by node. */
export const budgetsMigration: Migration = {
  number: 3,
  name: 'budgets',
  up: async (db, types) => {
    await db.schema
      .createTable('budget_spend')
      .addColumn('name', types.name, (column) => column.notNull())
      .addColumn('node', types.name, (column) => column.notNull())
      .addColumn('end_ms', 'bigint')
      .addColumn('spend_nano', 'bigint', (column) => column.notNull())
      .addColumn('updated_at_ms', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('budget_spend_pkey', ['name', 'node'])
      .modifyEnd(types.aggregate)
      .execute();
    await db.schema.createIndex('budget_spend_by_end').on('budget_spend').column('end_ms').execute();
  },
};
