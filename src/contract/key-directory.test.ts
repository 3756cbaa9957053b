import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { InvariantError } from '../base/invariant.ts';
import { buildKeyDirectory, KeyDirectory, KeyDirectoryError } from './key-directory.ts';
import type { KeyRecord } from './key-record.ts';

function hashOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

function recordOf(hash: string, alias: string | null = null): KeyRecord {
  return {
    hash,
    alias,
    userId: 'user',
    teamId: null,
    models: ['gpt-4o', 'openai/*'],
    aliases: { fast: 'gpt-4o', b: 'openai/b' },
    allowedRoutes: ['/v1/embeddings'],
    tags: ['prod'],
    rpmLimit: 100,
    tpmLimit: null,
    maxParallelRequests: 3,
    modelLimits: { 'gpt-4o': { rpmLimit: 5, tpmLimit: null }, b: { rpmLimit: null, tpmLimit: 7 } },
    userLimits: { rpmLimit: null, tpmLimit: 9, maxParallelRequests: null, modelLimits: {} },
    teamLimits: null,
    memberLimits: { rpmLimit: 2, tpmLimit: null },
    expiresAtMs: 1_800_000_000_000,
    blocked: false,
  };
}

function recordsFor(count: number): KeyRecord[] {
  return Array.from({ length: count }, (_, index) =>
    recordOf(hashOf(`sk-${index}`).toString('hex'), index % 3 === 0 ? `Schlüssel ${index}` : null),
  );
}

/** Equal content, every object's fields in another order. */
function reversed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, field]) => [key, reversed(field)]),
  );
}

describe('key directory', () => {
  for (const count of [0, 1, 4, 5, 1000]) {
    it(`finds each of ${count} keys and none besides`, () => {
      const records = recordsFor(count);
      const directory = new KeyDirectory(buildKeyDirectory(records));
      assert.equal(directory.count, count);
      for (const [index, record] of records.entries()) assert.deepEqual(directory.find(hashOf(`sk-${index}`)), record);
      for (let index = 0; index < 1000; index++) assert.equal(directory.find(hashOf(`sk-not-${index}`)), null);
    });
  }

  it('is the same bytes for the same records in another order, with fields in another order', () => {
    const records = recordsFor(50);
    const turned = records.toReversed().map((record) => reversed(record) as KeyRecord);
    assert.deepEqual(buildKeyDirectory(records), buildKeyDirectory(turned));
  });

  it('tells apart hashes that start alike, also around the end of the table', () => {
    const records: KeyRecord[] = [];
    for (const start of ['ffffffff', '00000000']) {
      for (let index = 0; index < 20; index++) records.push(recordOf(start + index.toString(16).padStart(56, '0')));
    }
    const directory = new KeyDirectory(buildKeyDirectory(records));
    for (const record of records) assert.deepEqual(directory.find(Buffer.from(record.hash, 'hex')), record);
    assert.equal(directory.find(Buffer.from('ffffffff'.padEnd(64, 'e'), 'hex')), null);
  });

  it('works over a SharedArrayBuffer, at an offset within it, with a hash at an offset', () => {
    const bytes = buildKeyDirectory(recordsFor(10));
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length + 5), 5);
    shared.set(bytes);
    const hash = Buffer.concat([Buffer.from([1, 2, 3]), hashOf('sk-9')]);
    assert.equal(new KeyDirectory(shared).find(hash, 3)?.alias, 'Schlüssel 9');
  });

  it('gives each key an offset of its own, from which the record is read', () => {
    const directory = new KeyDirectory(buildKeyDirectory(recordsFor(100)));
    const offsets = new Set<number>();
    for (let index = 0; index < 100; index++) {
      const offset = directory.findOffset(hashOf(`sk-${index}`));
      offsets.add(offset);
      assert.equal(directory.recordAt(offset).hash, hashOf(`sk-${index}`).toString('hex'));
    }
    assert.equal(offsets.size, 100);
    assert.equal(directory.findOffset(hashOf('sk-none')), -1);
  });

  it('keeps no room for what a record says nothing of, and says it again', () => {
    const { memberLimits: _, ...record } = recordOf(hashOf('a').toString('hex'));
    const nothing = { models: [], aliases: {}, tags: [], modelLimits: {}, userLimits: null, blocked: false };
    const plain: KeyRecord = { ...record, ...nothing, expiresAtMs: null };
    const full: KeyRecord = { ...plain, models: ['m'], tags: ['t'], blocked: true, expiresAtMs: 1 };
    const bytes = buildKeyDirectory([plain]);
    assert.doesNotMatch(Buffer.from(bytes).toString('latin1'), /null|false|\[\]|\{\}/);
    assert.deepEqual(new KeyDirectory(bytes).find(hashOf('a')), plain);
    assert.deepEqual(new KeyDirectory(buildKeyDirectory([full])).find(hashOf('a')), full);
    assert.deepEqual(Object.keys(new KeyDirectory(bytes).find(hashOf('a'))!), Object.keys(plain));
  });

  it('holds records far longer than it expects', () => {
    const long: KeyRecord = { ...recordOf(hashOf('a').toString('hex')), models: ['€'.repeat(100_000)] };
    assert.deepEqual(new KeyDirectory(buildKeyDirectory([long])).find(hashOf('a')), long);
  });

  it('keeps its load under the bound', () => {
    for (const count of [1, 100, 1000, 1229]) {
      const view = new DataView(buildKeyDirectory(recordsFor(count)).buffer);
      assert.ok(count / view.getUint32(12, true) <= 0.6);
    }
  });

  it('refuses a hash that stands twice, or is none', () => {
    const [record] = recordsFor(1);
    assert.ok(record);
    assert.throws(() => buildKeyDirectory([record, { ...record }]), InvariantError);
    assert.throws(() => buildKeyDirectory([{ ...record, hash: 'abc' }]), InvariantError);
    assert.throws(() => buildKeyDirectory([{ ...record, hash: 'z'.repeat(64) }]), InvariantError);
  });

  it('refuses bytes that are cut short, grown, or something else', () => {
    const bytes = buildKeyDirectory(recordsFor(3));
    for (const length of [0, 1, 63, 64, bytes.length - 1]) {
      assert.throws(() => new KeyDirectory(bytes.subarray(0, length)), KeyDirectoryError, `${length} bytes`);
    }
    assert.throws(() => new KeyDirectory(Buffer.concat([bytes, Buffer.alloc(1)])), KeyDirectoryError);
    const corrupt = (at: number, value: number): Uint8Array => {
      const copy = bytes.slice();
      new DataView(copy.buffer).setUint32(at, value, true);
      return copy;
    };
    assert.throws(() => new KeyDirectory(corrupt(0, 1)), /no key directory/);
    assert.throws(() => new KeyDirectory(corrupt(4, 1)), /format 1, this version reads 4/);
    assert.throws(() => new KeyDirectory(corrupt(8, 8)), /impossible table/);
  });
});
