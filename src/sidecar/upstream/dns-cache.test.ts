import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DnsCache, type DnsListener, type ResolvedAddress } from './dns-cache.ts';

class Recorder implements DnsListener {
  answers: (readonly string[] | Error)[] = [];
  onResolved(addresses: readonly string[]): void {
    this.answers.push(addresses);
  }
  onResolveFailed(error: Error): void {
    this.answers.push(error);
  }
}

/** A name server in the test's hands. */
class NameServer {
  readonly asked: string[] = [];
  readonly #open: ((error: Error | null, addresses: readonly ResolvedAddress[]) => void)[] = [];
  readonly lookup = (
    hostname: string,
    callback: (error: Error | null, found: readonly ResolvedAddress[]) => void,
  ): void => {
    this.asked.push(hostname);
    this.#open.push(callback);
  };
  answer(...addresses: readonly string[]): void {
    this.#open.shift()?.(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  }
  fail(): void {
    this.#open.shift()?.(new Error('down'), []);
  }
}

function start(...addresses: readonly string[]): {
  server: NameServer;
  cache: DnsCache;
  next: () => readonly string[] | null;
} {
  const server = new NameServer();
  const cache = new DnsCache(server.lookup);
  if (addresses.length > 0) {
    cache.resolve('a.test', new Recorder());
    server.answer(...addresses);
  }
  return { server, cache, next: () => cache.resolve('a.test', new Recorder()) };
}

describe('DnsCache', () => {
  it('asks once for all that wait, whatever the case of the name', () => {
    const { server, cache } = start();
    const recorders = [new Recorder(), new Recorder(), new Recorder()];
    for (const [i, recorder] of recorders.entries()) {
      assert.equal(cache.resolve(i === 1 ? 'A.Test' : 'a.test', recorder), null);
    }
    const [, , cancelled] = recorders;
    assert.ok(cancelled !== undefined);
    cache.cancel('A.test', cancelled);
    server.answer('192.0.2.1');
    assert.deepEqual(server.asked, ['a.test']);
    assert.deepEqual(
      recorders.map(({ answers }) => answers),
      [[['192.0.2.1']], [['192.0.2.1']], []],
    );
    assert.deepEqual(cache.resolve('a.test', new Recorder()), ['192.0.2.1']);
  });

  it('starts each connection at the next address of each family, families alternating, the first one first', () => {
    const { next } = start('2001:db8::1', '2001:db8::2', '192.0.2.1', '192.0.2.2', '192.0.2.3');
    assert.deepEqual(next(), ['2001:db8::2', '192.0.2.2', '2001:db8::1', '192.0.2.3', '192.0.2.1']);
    assert.deepEqual(next(), ['2001:db8::1', '192.0.2.3', '2001:db8::2', '192.0.2.1', '192.0.2.2']);
    const firsts = new Set(Array.from({ length: 6 }, () => next()?.[1]));
    assert.deepEqual(firsts, new Set(['192.0.2.1', '192.0.2.2', '192.0.2.3']));
  });

  it('puts addresses that failed last, until they work or the name is looked up again', () => {
    const { server, cache, next } = start('192.0.2.1', '192.0.2.2');
    cache.report('A.TEST', '192.0.2.1', false);
    for (let i = 0; i < 3; i++) assert.deepEqual(next(), ['192.0.2.2', '192.0.2.1']);
    cache.report('a.test', '192.0.2.1', true);
    assert.notDeepEqual(next(), next());
    cache.report('a.test', '192.0.2.1', false);
    cache.report('a.test', '192.0.2.2', false);
    assert.equal(next()?.length, 2, 'all failed: all are tried');
    cache.tick(1000);
    cache.tick(2000);
    assert.equal(server.asked.length, 2);
    server.answer('192.0.2.1', '192.0.2.2');
    assert.notDeepEqual(next(), next());
  });

  it('looks up again every 30 s, or 1 s after a failed connection', () => {
    const { server, cache, next } = start('192.0.2.1');
    cache.tick(1000);
    cache.tick(30_999);
    assert.equal(server.asked.length, 1);
    cache.tick(31_000);
    assert.equal(server.asked.length, 2);
    cache.tick(100_000);
    assert.equal(server.asked.length, 2, 'one at a time');
    server.answer('192.0.2.7');
    assert.deepEqual(next(), ['192.0.2.7']);
    cache.report('a.test', '192.0.2.7', false);
    cache.tick(100_100);
    cache.tick(101_099);
    assert.equal(server.asked.length, 2);
    cache.tick(101_100);
    assert.equal(server.asked.length, 3);
  });

  it('keeps the last good answer while looking up fails or finds nothing', () => {
    const { server, cache, next } = start('192.0.2.1');
    cache.tick(1000);
    for (let nowMs = 40_000; nowMs < 400_000; nowMs += 40_000) {
      cache.tick(nowMs);
      if (nowMs % 80_000 === 0) server.fail();
      else server.answer();
      cache.tick(nowMs + 1);
      assert.deepEqual(next(), ['192.0.2.1']);
    }
    assert.ok(server.asked.length > 8);
  });

  it('does not remember a failure, and takes an empty answer for one', () => {
    const { server, cache } = start();
    const recorder = new Recorder();
    cache.resolve('a.test', recorder);
    server.fail();
    cache.resolve('a.test', recorder);
    server.answer();
    assert.equal(server.asked.length, 2);
    assert.ok(recorder.answers.every((answer) => answer instanceof Error));
    cache.resolve('a.test', recorder);
    server.answer('192.0.2.1');
    assert.deepEqual(recorder.answers[2], ['192.0.2.1']);
  });

  it('forgets a host that nobody dialled for ten minutes', () => {
    const { server, cache, next } = start('192.0.2.1');
    for (let nowMs = 1000; nowMs < 600_000; nowMs += 10_000) {
      cache.tick(nowMs);
      server.answer('192.0.2.1');
    }
    assert.notEqual(next(), null);
    for (let nowMs = 600_000; nowMs < 1_200_000; nowMs += 10_000) {
      cache.tick(nowMs);
      server.answer('192.0.2.1');
    }
    cache.tick(1_200_100);
    const count = server.asked.length;
    cache.tick(2_000_000);
    assert.equal(server.asked.length, count, 'no look-ups for nobody');
    assert.equal(next(), null);
  });

  it('keeps a host that has connections, though nothing is dialled', () => {
    const { server, cache, next } = start('192.0.2.1');
    for (let nowMs = 1000; nowMs < 3_000_000; nowMs += 10_000) {
      cache.touch('A.test');
      cache.tick(nowMs);
      server.answer('192.0.2.1');
    }
    assert.notEqual(next(), null);
  });

  it('takes addresses and localhost as they are', () => {
    const { server, cache } = start();
    const resolve = (host: string): readonly string[] | null => cache.resolve(host, new Recorder());
    assert.deepEqual(resolve('192.0.2.1'), ['192.0.2.1']);
    assert.deepEqual(resolve('2001:db8::1'), ['2001:db8::1']);
    assert.deepEqual(resolve('LocalHost'), ['127.0.0.1', '::1']);
    assert.deepEqual(resolve('api.localhost'), ['127.0.0.1', '::1']);
    assert.deepEqual(server.asked, []);
    assert.equal(resolve('notlocalhost'), null);
  });
});
