export type StoreEngine = 'sqlite' | 'postgres';

/** Everything of ours in PostgreSQL lives here; nothing outside is touched. */
export const POSTGRES_SCHEMA = 'slipstream';

/** A NOTIFY with the number of the last change, in the transaction that makes it. */
export const CHANGES_CHANNEL = 'slipstream_changes';
