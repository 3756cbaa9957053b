import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KeyRecord } from '../../contract/key-record.ts';
import { foldKey } from './fold-key.ts';
import { KeyTable } from './key-table.ts';

function record(hash: string, alias: string | null = null): KeyRecord {
  const grant = { hash, alias, userId: null, teamId: null, models: [], aliases: {}, allowedRoutes: [] };
  const limits = { rpmLimit: null, tpmLimit: null, maxParallelRequests: null, modelLimits: {} };
  return foldKey({ ...grant, ...limits, expiresAtMs: null, blocked: false }, { users: new Map(), teams: new Map() });
}

function tableOf(...hashes: string[]): KeyTable {
  return new KeyTable(new Map(hashes.map((hash) => [hash, record(hash)])), [], true);
}

describe('the table of keys that sidecars know', () => {
  it('tells what is new, what differs and what is gone, and nothing else', () => {
    const table = tableOf('a', 'b', 'c');
    const told = table.take(
      [
        ['a', record('a')],
        ['b', record('b', 'other')],
        ['c', null],
        ['d', record('d')],
        ['e', null],
      ],
      10,
    );
    assert.deepEqual(
      told.map(({ hash, record: now }) => [hash, now?.alias]),
      [
        ['b', 'other'],
        ['c', undefined],
        ['d', null],
      ],
    );
    assert.deepEqual([...table.records.keys()].sort(), ['a', 'b', 'd']);
    assert.deepEqual(table.changes.map(({ hash }) => hash).sort(), ['b', 'c', 'd']);
  });

  it('without room: a new key is one to be asked for', () => {
    const table = tableOf('a', 'b');
    assert.deepEqual(table.take([['c', record('c')]], 2), [{ hash: 'c', record: null }]);
    assert.equal(table.holdsAll, false);
    assert.equal(table.isResident('c'), false);
    // It changes: what was answered is forgotten. One that is resident is told.
    assert.deepEqual(table.take([['c', null]], 2), [{ hash: 'c', record: null }]);
    assert.deepEqual(table.take([['a', record('a', 'x')]], 2), [{ hash: 'a', record: record('a', 'x') }]);
  });

  it('a key that comes back while sidecars hold it for gone is told, room or not', () => {
    const table = tableOf('a', 'b');
    table.take([['c', record('c')]], 2);
    table.take([['a', null]], 2);
    assert.deepEqual(table.take([['a', record('a')]], 0), [{ hash: 'a', record: record('a') }]);
  });

  it('a key of the file has room always', () => {
    const table = tableOf('a');
    assert.deepEqual(table.takeDeclared([['b', record('b')]]), [{ hash: 'b', record: record('b') }]);
    assert.deepEqual(table.takeDeclared([['b', record('b')]]), []);
    assert.deepEqual(table.takeDeclared([['b', null]]), [{ hash: 'b', record: null }]);
  });

  it('replaced by what was read anew: the differences', () => {
    const table = tableOf('a', 'b');
    const told = table.replace(
      new Map([
        ['b', record('b')],
        ['c', record('c')],
      ]),
      true,
    );
    assert.deepEqual(
      told.map(({ hash, record: now }) => [hash, now === null]),
      [
        ['c', false],
        ['a', true],
      ],
    );
  });
});
