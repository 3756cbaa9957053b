import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { passedQuery, queryNames } from './passed-query.ts';

describe('passedQuery', () => {
  const own = queryNames('api-version=2026-01-01&x=1');
  const table: [string, string][] = [
    ['', ''],
    ['beta=true', 'beta=true'],
    ['beta=true&beta=false&empty=&bare', 'beta=true&beta=false&empty=&bare'],
    ['a=%20b+c&d=%zz', 'a=%20b+c&d=%zz'],
    ['key=sk-1&beta=true', 'beta=true'],
    ['KEY=sk-1&k%65y=sk-2&keys=3', 'keys=3'],
    ['api-version=2020&API-Version=2021&api%2Dversion=2022&y=2', 'y=2'],
    ['&&a=1&', 'a=1'],
    ['api-version', ''],
    ['%zz=1&x', '%zz=1'],
  ];
  for (const [query, passed] of table) {
    it(JSON.stringify(query), () => assert.equal(passedQuery(query, own), passed));
  }
});
