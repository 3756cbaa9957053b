import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { toConnectionString } from './connection-string.ts';

test("Prisma's parameters are passed over, others kept", () => {
  const given = 'postgresql://u:p%40ss@db:6432/llm?schema=public&connection_limit=5&pgbouncer=true&application_name=a';
  assert.equal(toConnectionString(given), 'postgresql://u:p%40ss@db:6432/llm?application_name=a');
});

test('sslmode means what it means to psql', () => {
  const ssl = (mode: string): unknown =>
    new pg.Client(toConnectionString(`postgres://u@db/llm?sslmode=${mode}`) ?? '').ssl;
  assert.equal(ssl('disable'), false);
  assert.deepEqual(ssl('require'), { rejectUnauthorized: false });
  assert.deepEqual(ssl('verify-full'), {});
});

test('a Unix socket stays one', () => {
  const { host, database } = new pg.Client(toConnectionString('postgresql://u@localhost/llm?host=%2Frun%2Fpg') ?? '');
  assert.deepEqual([host, database], ['/run/pg', 'llm']);
});

test('what is no address of PostgreSQL is none', () => {
  for (const text of ['', 'mysql://u@db/llm', 'db:5432', 'postgresql://u@db:port/llm']) {
    assert.equal(toConnectionString(text), null, text);
  }
});
