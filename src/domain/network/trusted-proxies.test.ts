import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isTrustedProxyEntry, TrustedProxies } from './trusted-proxies.ts';

const trusted = new TrustedProxies(['10.0.0.0/8', '192.0.2.129/25', '2001:db8:ff00::/40', '::1', 'unix']);

describe('the client is the right-most address that is not trusted', () => {
  const table: [string, string | null, string, string | null][] = [
    ['an untrusted peer is the client, whatever it says', '203.0.113.9', '10.1.1.1, 1.2.3.4', '203.0.113.9'],
    ['a trusted peer that says nothing is', '10.1.1.1', '', '10.1.1.1'],
    ['one proxy', '10.1.1.1', '203.0.113.9', '203.0.113.9'],
    ['two proxies', '10.1.1.1', '203.0.113.9, 10.2.2.2', '203.0.113.9'],
    ['an address that the client made up', '10.1.1.1', '1.1.1.1, 203.0.113.9, 10.2.2.2', '203.0.113.9'],
    ['a made-up trusted one', '10.1.1.1', '10.9.9.9, 203.0.113.9', '203.0.113.9'],
    ['all of them trusted: the first', '10.1.1.1', '10.3.3.3,10.2.2.2', '10.3.3.3'],
    ['IPv4 mapped into IPv6', '::ffff:10.1.1.1', '::FFFF:203.0.113.9', '203.0.113.9'],
    ['IPv6', '::1', '2001:DB8::7, 2001:db8:ff00::1', '2001:db8::7'],
    ['ports', '10.1.1.1', '203.0.113.9:99, [2001:db8:ff00::1]:1', '203.0.113.9'],
    ['a word that is no address', '10.1.1.1', '203.0.113.9, unknown, 10.2.2.2', '10.2.2.2'],
    ['an empty part', '10.1.1.1', '203.0.113.9,, 10.2.2.2', '10.2.2.2'],
    ['the upper half of a block', '192.0.2.130', '203.0.113.9', '203.0.113.9'],
    ['the lower half, which is another', '192.0.2.127', '203.0.113.9', '192.0.2.127'],
    ['a Unix socket', null, '203.0.113.9', '203.0.113.9'],
    ['a Unix socket that says nothing', null, '', null],
  ];
  for (const [name, peer, forwarded, client] of table) {
    it(name, () => assert.equal(trusted.clientOf(peer, forwarded), client));
  }

  it('a Unix socket that is not trusted says nothing', () => {
    assert.equal(new TrustedProxies(['10.0.0.0/8']).clientOf(null, '203.0.113.9'), null);
  });

  it('everything trusted', () => {
    assert.equal(new TrustedProxies(['0.0.0.0/0', '::/0']).clientOf('1.1.1.1', 'a, 2.2.2.2, ::2'), '2.2.2.2');
  });
});

it('entries', () => {
  for (const entry of ['10.0.0.1', '10.0.0.0/8', '0.0.0.0/0', '::/0', '2001:db8::/128', 'unix']) {
    assert.ok(isTrustedProxyEntry(entry), entry);
  }
  for (const entry of ['', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/-1', '::/129', 'localhost', '10.0.0/8', '/8', '*']) {
    assert.ok(!isTrustedProxyEntry(entry), entry);
  }
});
