import type { ClientBase } from 'pg';

/** A process that stops in the middle of a transaction must not keep its locks from the one that replaces it. */
const IDLE_IN_TRANSACTION_MS = 15_000;

/** Of each new connection. Not among its start-up parameters: PgBouncer refuses those that it does not know. */
export async function setUpSession(client: Pick<ClientBase, 'query'>): Promise<void> {
  await client.query(`set idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_MS}`);
}
