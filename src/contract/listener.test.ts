import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseListenAddress } from './listener.ts';

const tcp = (host: string, port: number, scheme: string | null = null) => ({
  target: { type: 'tcp', host, port },
  scheme,
});

describe('parseListenAddress', () => {
  const good: [string, object][] = [
    ['0.0.0.0:4000', tcp('0.0.0.0', 4000)],
    [' 127.0.0.1 ', tcp('127.0.0.1', 4000)],
    ['[::]:4001', tcp('::', 4001)],
    ['[::1]', tcp('::1', 4000)],
    [':8080', tcp('0.0.0.0', 8080)],
    ['8080', tcp('0.0.0.0', 8080)],
    ['gateway.example:0', tcp('gateway.example', 0)],
    ['http://127.0.0.1:4000/', tcp('127.0.0.1', 4000, 'http')],
    ['https://[::]:4443', tcp('::', 4443, 'https')],
    ['unix:/run/s.sock', { target: { type: 'unix', path: '/run/s.sock', mode: 0o660 }, scheme: null }],
    ['unix:///run/s.sock', { target: { type: 'unix', path: '/run/s.sock', mode: 0o660 }, scheme: null }],
    ['systemd', { target: { type: 'systemd', name: null }, scheme: null }],
    ['systemd:web', { target: { type: 'systemd', name: 'web' }, scheme: null }],
  ];
  for (const [written, expected] of good) {
    it(`reads ${written}`, () => assert.deepEqual(parseListenAddress(written, 4000), expected));
  }

  const bad: [string, RegExp][] = [
    ['', /empty/],
    ['::1:4000', /IPv6/],
    ['host:65536', /65535/],
    ['host:4000x', /65535/],
    ['a b:1', /host:port/],
    ['ftp://host:21', /only http/],
    ['unix:relative.sock', /absolute/],
    [`unix:/${'é'.repeat(60)}`, /103 bytes/],
  ];
  for (const [written, reason] of bad) {
    it(`refuses ${JSON.stringify(written.slice(0, 20))}`, () => {
      const found = parseListenAddress(written, 4000);
      assert.ok(typeof found === 'string');
      assert.match(found, reason);
    });
  }
});
