// RFC 9112 §3: method, target and Host.
import { head, readsRequests, refusesRequest } from './http1-cases.ts';

const HOST = 'Host: a';
const get = (target: string): string => head(`GET ${target} HTTP/1.1`, HOST);

// §3: three parts, one space between them.
refusesRequest('§3: two spaces behind the method', 'bad_target', head('GET  / HTTP/1.1', HOST));
refusesRequest('§3: two spaces behind the target', 'bad_version', head('GET /  HTTP/1.1', HOST));
refusesRequest('§3: a tab behind the method', 'bad_method', head('GET\t/ HTTP/1.1', HOST));
refusesRequest('§3: a tab behind the target', 'bad_target', head('GET /\tHTTP/1.1', HOST));
refusesRequest('§3: a space before the method', 'bad_method', head(' GET / HTTP/1.1', HOST));
refusesRequest('§3: a vertical tab between the parts', 'bad_target', head('GET /\x0bHTTP/1.1', HOST));
refusesRequest('§3: a space inside the target', 'bad_version', head('GET /a b HTTP/1.1', HOST));
refusesRequest('§3: no target', 'bad_target', head('GET  HTTP/1.1', HOST));
refusesRequest('§3: only a method', 'bad_method', head('GET', HOST));
refusesRequest('§3: an empty request line of spaces', 'bad_method', head('  ', HOST));

// §3.1: the method is a case-sensitive token.
for (const method of [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'M-SEARCH',
  "!#$%&'*+-.^_`|~",
]) {
  readsRequests(`§3.1: the method ${method}`, head(`${method} / HTTP/1.1`, HOST), [{ method, framing: 'none' }]);
}
readsRequests('§3.1: the case of a method is kept', head('get / HTTP/1.1', HOST), [{ method: 'get' }]);
for (const method of ['GE T', 'G\xc9T', 'GET:', '(GET)', '"GET"', 'G@T', 'GET\0', 'G{}', '<GET>', 'a/b', 'G\x7fT']) {
  const rule = method === 'GE T' ? 'bad_version' : 'bad_method';
  refusesRequest(`§3.1: the method ${JSON.stringify(method)}`, rule, head(`${method} / HTTP/1.1`, HOST));
}
readsRequests('§3: a method of 24 letters', head(`${'M'.repeat(24)} / HTTP/1.1`, HOST), [{ method: 'M'.repeat(24) }]);
refusesRequest('§3: a method of 25 letters', 'method_too_long', head(`${'M'.repeat(25)} / HTTP/1.1`, HOST));

// §3.2.1: origin form.
readsRequests('§3.2.1: path and query', get('/v1/chat?a=b&c'), [
  { target: '/v1/chat?a=b&c', path: '/v1/chat', query: 'a=b&c' },
]);
readsRequests('§3.2.1: an empty query', get('/a?'), [{ target: '/a?', path: '/a', query: '' }]);
readsRequests('§3.2.1: question marks inside the query', get('/a?b?c?d'), [{ path: '/a', query: 'b?c?d' }]);
readsRequests('§3.2.1: two slashes', get('//evil.test/a'), [{ path: '//evil.test/a', query: '' }]);
readsRequests('§3.2.1: percent escapes are not decoded', get('/%2e%2E/%00?%0d%0a'), [
  { path: '/%2e%2E/%00', query: '%0d%0a' },
]);
readsRequests('§3.2.1: dot segments are not resolved', get('/a/../b/./c'), [{ path: '/a/../b/./c' }]);
const EVERY_PATH_CHARACTER = "/AZaz09-._~!$&'()*+,;=:@%41[]^`{|}";
readsRequests(
  '§3.2.1: each character of RFC 3986, and what WHATWG URLs leave bare',
  get(`${EVERY_PATH_CHARACTER}?${EVERY_PATH_CHARACTER}?\\`),
  [{ path: EVERY_PATH_CHARACTER, query: `${EVERY_PATH_CHARACTER}?\\` }],
);
for (const [name, character] of [
  ['a fragment', '#x'],
  ['a quote', '"'],
  ['an angle bracket', '<'],
  ['a closing angle bracket', '>'],
  ['a NUL', '\0'],
  ['a DEL', '\x7f'],
  ['a byte from 0x80 on', '\x80'],
  ['an UTF-8 letter', '\xc3\xa9'],
  ['a control character', '\x01'],
] as const) {
  refusesRequest(`§3.2: ${name} in the path`, 'bad_target', get(`/a${character}`));
  refusesRequest(`§3.2: ${name} in the query`, 'bad_target', get(`/a?b${character}`));
}
refusesRequest('§3.2: a backslash in the path', 'bad_target', get('/a\\b'));
for (const target of ['v1/chat', 'a', '?a=b', '*a', '.', 'a:80', '%2f', 'http:/a/b', 'http:a', '@a', '[::1]/']) {
  refusesRequest(`§3.2.1: a target without leading slash: ${target}`, 'target_form', get(target));
}

// §3.2.2: absolute form, which a server must accept.
readsRequests('§3.2.2: an absolute target gives its path', get('http://a.test:8080/v1/chat?b=c'), [
  { target: 'http://a.test:8080/v1/chat?b=c', path: '/v1/chat', query: 'b=c' },
]);
readsRequests('§3.2.2: https, in any case', get('HtTpS://A.test/x'), [{ path: '/x', query: '' }]);
readsRequests('§3.2.2: an absolute target without path', get('http://a.test'), [{ path: '/', query: '' }]);
readsRequests('§3.2.2: an absolute target without path but with query', get('http://a.test?b=/c'), [
  { path: '/', query: 'b=/c' },
]);
readsRequests('§3.2.2: an IPv6 authority', get('http://[::1]:80/x'), [{ path: '/x' }]);
readsRequests('§3.2.2: an empty port', get('http://a.test:/x'), [{ path: '/x' }]);
readsRequests('§3.2.2: an authority other than Host is taken as it is', get('http://other.test/x'), [
  { path: '/x', headers: [['host', 'a']] },
]);
for (const scheme of ['ftp', 'ws', 'file', 'javascript', 'httpx', 'unix']) {
  refusesRequest(`§3.2.2: the scheme ${scheme}`, 'target_form', get(`${scheme}://a.test/x`));
}
for (const [name, authority] of [
  ['that is empty', ''],
  ['with an empty host', ':80'],
  ['with user information', 'user:secret@a.test'],
  ['with a user', 'user@a.test'],
  ['with a port that is no number', 'a.test:http'],
  ['with a port of six digits', 'a.test:000080'],
  ['with a signed port', 'a.test:-1'],
  ['with two ports', 'a.test:80:81'],
  ['with half an IPv6 address', '[::1'],
  ['with an empty IPv6 address', '[]'],
  ['with letters behind an IPv6 address', '[::1]a'],
  ['with a zone', '[fe80::1%eth0]'],
  ['with brackets inside', 'a[b]c'],
  ['with braces', 'a{b}'],
] as const) {
  refusesRequest(`§3.2.2: an authority ${name}`, 'target_authority', get(`http://${authority}/x`));
}

// §3.2.3, §3.2.4: authority and asterisk form.
for (const target of ['a.test:443', '/x', '*', 'http://a.test/']) {
  refusesRequest(`§3.2.3: CONNECT ${target}`, 'connect', head(`CONNECT ${target} HTTP/1.1`, HOST));
}
readsRequests('§3.2.4: OPTIONS *', head('OPTIONS * HTTP/1.1', HOST), [{ target: '*', path: '*', query: '' }]);
refusesRequest('§3.2.2: a target that is only a scheme', 'target_authority', get('http://'));
refusesRequest('§3.2.2: a target that is only a scheme with one slash', 'target_form', get('http:/'));
refusesRequest('§3.2.4: GET *', 'target_form', get('*'));
refusesRequest('§3.2.4: options * (methods are case-sensitive)', 'target_form', head('options * HTTP/1.1', HOST));
refusesRequest('§3.2.4: OPTIONS *?a', 'target_form', head('OPTIONS *?a HTTP/1.1', HOST));

// §3.2: Host.
const withHost = (...hosts: string[]): string => head('GET / HTTP/1.1', ...hosts);
refusesRequest('§3.2: HTTP/1.1 without Host', 'host_missing', withHost('X-Host: a'));
refusesRequest('§3.2: HTTP/1.1 without any header', 'host_missing', withHost());
refusesRequest('§3.2: an absolute target without Host', 'host_missing', head('GET http://a/ HTTP/1.1'));
refusesRequest('§3.2: two Hosts', 'host_repeated', withHost('Host: a', 'Host: b'));
refusesRequest('§3.2: the same Host twice', 'host_repeated', withHost('Host: a', 'hOST: a'));
refusesRequest('§3.2: two Hosts in HTTP/1.0', 'host_repeated', head('GET / HTTP/1.0', 'Host: a', 'Host: b'));
for (const host of [
  'a',
  'a.test',
  'a.test:4000',
  'a.test:65535',
  '127.0.0.1:80',
  '[::1]',
  '[::ffff:1.2.3.4]:443',
  'a_b.c',
  'xn--e1.test',
  'a:',
]) {
  readsRequests(`§3.2: Host: ${host}`, withHost(`Host: ${host}`), [{ headers: [['host', host]] }]);
}
readsRequests('§3.2: an empty Host, for a target without authority', withHost('Host:'), [{ headers: [['host', '']] }]);
for (const host of [
  'a b',
  'a/b',
  'a@b',
  'http://a',
  'a:b',
  'a:80:80',
  'a\\b',
  'a?b',
  'a#b',
  '[::1',
  '::1',
  'a, b',
  'a\xe9',
  '<a>',
  'a:100000',
  '"a"',
]) {
  refusesRequest(`§3.2: Host: ${host}`, 'bad_host', withHost(`Host: ${host}`));
}
refusesRequest('§3.2: a bad Host in HTTP/1.0', 'bad_host', head('GET / HTTP/1.0', 'Host: a b'));
