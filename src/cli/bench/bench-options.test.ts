import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UsageError } from '../command-line.ts';
import { parseHold, parseOverhead, parseStartup } from './bench-options.ts';

describe('flags of slipstream bench', () => {
  it('that are wrong are refused in one line that names them', () => {
    for (const [parse, args, part] of [
      [parseOverhead, ['--qsp', '1'], '--qps'],
      [parseOverhead, ['--against', 'nginx'], 'haproxy'],
      [parseOverhead, ['--body', 'xml'], 'tool-json'],
      [parseOverhead, ['--cpus-load', 'all'], '--cpus-load'],
      [parseOverhead, ['--target', 'ftp://x', '--model', 'm'], '--target'],
      [parseOverhead, ['--target', 'http://127.0.0.1:1/v1'], '--model'],
      [parseOverhead, ['--target', 'https://gateway.invalid/v1', '--model', 'm'], '--yes'],
      [parseOverhead, ['--target', 'http://[::1]/v1', '--model', 'm', '--against', 'haproxy'], '--against'],
      [parseHold, ['--seconds', '0'], '--seconds'],
      [parseHold, ['--rounds', '2'], '--rounds'],
      [parseStartup, ['--rounds', 'x'], '--rounds'],
    ] as const) {
      assert.throws(
        () => parse(args),
        (error) => error instanceof UsageError && !error.message.includes('\n') && error.message.includes(part),
        args.join(' '),
      );
    }
  });

  it('have the defaults that figures are taken with', () => {
    const options = parseOverhead([]);
    assert.deepEqual([options?.rounds, options?.shape.seconds, options?.shape.qps], [20, 3, 1000]);
    assert.deepEqual([options?.shape.connections, options?.shape.bodyBytes, options?.withGateway], [16, 300, true]);
    assert.equal(parseOverhead(['--qps', '0'])?.shape.connections, 32);
    assert.deepEqual([options?.keyCount, parseHold(['--keys', '5'])?.keyCount], [10_000, 5]);
  });

  it('streams get as many connections as are open at once, and half as many again', () => {
    const options = parseOverhead(['--stream', '--qps', '100', '--tokens', '19', '--token-interval-ms', '9']);
    assert.ok((options?.shape.connections ?? 0) >= (100 * 19 * 10 * 1.5) / 1000);
  });

  it('a target elsewhere is taken with --yes', () => {
    const target = ['--target', 'https://gateway.invalid/v1', '--model', 'm', '--key', 'k', '--yes'];
    assert.equal(parseOverhead(target)?.target?.url.host, 'gateway.invalid');
    assert.equal(parseOverhead(target)?.withGateway, false);
  });
});
