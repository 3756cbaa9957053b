import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chooseProxy, parseBaseUrl } from './compile-origin.ts';

describe('base URL', () => {
  it('is taken apart', () => {
    assert.deepEqual(parseBaseUrl('https://API.example.com/openai/v1/?a=b'), {
      scheme: 'https',
      host: 'api.example.com',
      port: 443,
      path: '/openai/v1',
      query: 'a=b',
      hasUserInfo: false,
    });
    assert.equal(parseBaseUrl('http://localhost:8080')?.host, 'localhost');
    assert.equal(parseBaseUrl('http://localhost:8080/')?.path, '');
    assert.equal(parseBaseUrl('http://[::1]:8080/v1')?.host, '::1');
    assert.equal(parseBaseUrl('http://host')?.port, 80);
    assert.equal(parseBaseUrl('http://u:p@host')?.hasUserInfo, true);
    assert.equal(parseBaseUrl('http://169.254.169.254/v1')?.host, '169.254.169.254'); // the file may
  });

  for (const text of [
    '',
    'localhost:8080',
    'ftp://x',
    'http://',
    'https://x/#y',
    'http://x\r\ny',
    'http://x y',
    '//x',
    'file:///x',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseBaseUrl(text), null));
  }
});

describe('egress proxy', () => {
  const choose = (url: string, environment: Record<string, string>): string | null => {
    const base = parseBaseUrl(url);
    assert.ok(base);
    const choice = chooseProxy(base, environment);
    return choice.faultyVariable === null ? choice.url : `faulty ${choice.faultyVariable}`;
  };
  const proxied = { HTTPS_PROXY: 'http://proxy:3128', HTTP_PROXY: 'http://plain:80' };

  it('is chosen by scheme, lower case first', () => {
    assert.equal(choose('https://a.com', proxied), 'http://proxy:3128');
    assert.equal(choose('http://a.com', proxied), 'http://plain:80');
    assert.equal(choose('https://a.com', { ...proxied, https_proxy: 'http://lower:1' }), 'http://lower:1');
    assert.equal(choose('https://a.com', {}), null);
    assert.equal(choose('https://a.com', { HTTPS_PROXY: '' }), null);
    assert.equal(choose('https://a.com', { HTTP_PROXY: 'http://plain' }), null);
  });

  it('may lack its scheme, and carry a user', () => {
    assert.equal(choose('https://a.com', { HTTPS_PROXY: 'proxy:3128' }), 'http://proxy:3128');
    assert.equal(choose('https://a.com', { HTTPS_PROXY: 'http://u:p%40@proxy/' }), 'http://u:p%40@proxy:80');
  });

  it('of another kind is refused by the name of its variable', () => {
    assert.equal(choose('https://a.com', { HTTPS_PROXY: 'https://proxy:3128' }), 'faulty HTTPS_PROXY');
    assert.equal(choose('https://a.com', { HTTPS_PROXY: 'socks5://proxy:3128' }), 'faulty HTTPS_PROXY');
    assert.equal(choose('https://a.com', { HTTPS_PROXY: 'http://' }), 'faulty HTTPS_PROXY');
  });

  const exemptions: readonly (readonly [list: string, url: string, isExempt: boolean])[] = [
    ['*', 'https://a.com', true],
    ['a.com', 'https://a.com', true],
    ['A.COM', 'https://a.com', true],
    ['a.com', 'https://x.a.com', true],
    ['.a.com', 'https://x.a.com', true],
    ['*.a.com', 'https://x.a.com', true],
    ['.a.com', 'https://a.com', true],
    ['a.com', 'https://ba.com', false],
    ['b.com, a.com', 'https://a.com', true],
    ['b.com a.com', 'https://a.com', true],
    ['a.com:443', 'https://a.com', true],
    ['a.com:8443', 'https://a.com', false],
    ['localhost', 'http://localhost:1', true],
    ['127.0.0.1', 'http://127.0.0.1:1', true],
    ['10.0.0.0/8', 'http://10.1.2.3', true],
    ['10.0.0.0/8', 'http://11.1.2.3', false],
    ['10.0.0.0/99', 'http://10.1.2.3', false],
    ['0.0.1', 'http://127.0.0.1', false],
    ['fd00::/8', 'http://[fd12::1]', true],
    ['::1', 'http://[::1]:8080', true],
    ['[::1]:8080', 'http://[::1]:8080', true],
    ['', 'https://a.com', false],
    [',', 'https://a.com', false],
    ['.', 'https://a.com', false],
  ];
  for (const [list, url, isExempt] of exemptions) {
    it(`is ${isExempt ? 'not ' : ''}used for ${url} with NO_PROXY=${list}`, () => {
      assert.equal(choose(url, { ...proxied, NO_PROXY: list }) === null, isExempt);
    });
  }
});
