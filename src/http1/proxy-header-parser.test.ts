import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { splitEverywhere } from '../../test/support/split-everywhere.ts';
import { PROXY_REFUSALS, ProxyHeaderParser, ProxyHeaderResult, type ProxyRefusal } from './proxy-header-parser.ts';

interface Found {
  readonly address: string | null;
  readonly refusal: ProxyRefusal | null;
  /** Bytes of the header, or where it stands. */
  readonly taken: number | 'incomplete' | 'refused';
}

function parse(input: Uint8Array | string): Found {
  return splitEverywhere(input, (pieces) => {
    const parser = new ProxyHeaderParser();
    let before = 0;
    for (const { chunk, at, end } of pieces) {
      const result = parser.push(chunk.subarray(at, end));
      if (result === ProxyHeaderResult.Refused) return { ...facts(parser), taken: 'refused' as const };
      if (result !== ProxyHeaderResult.Incomplete) return { ...facts(parser), taken: before + result };
      before += end - at;
    }
    return { ...facts(parser), taken: 'incomplete' as const };
  });
}

const facts = ({ address, refusal }: ProxyHeaderParser): Pick<Found, 'address' | 'refusal'> => ({ address, refusal });

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

function v2(command: number, family: number, rest: Uint8Array, length = rest.length): Buffer {
  const fixed = Buffer.of(command, family, length >> 8, length & 0xff);
  return Buffer.concat([SIGNATURE, fixed, rest]);
}

const INET = Buffer.from([192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0x01, 0xbb]);
const INET6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.alloc(16),
  Buffer.alloc(4),
]);
const TLV = Buffer.from([0x04, 0x00, 0x03, 1, 2, 3]);

describe('version 1', () => {
  const good: [string, string | null][] = [
    ['PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n', '192.0.2.1'],
    ['PROXY TCP6 2001:db8::1 ::1 0 65535\r\n', '2001:db8::1'],
    ['PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n', '192.0.2.1'],
    ['PROXY UNKNOWN\r\n', null],
    ['PROXY UNKNOWN ffff:f...f:ffff 1 2 anything\r\n', null],
  ];
  for (const [line, address] of good) {
    it(`reads ${JSON.stringify(line)}, and nothing behind it`, () => {
      assert.deepEqual(parse(`${line}GET / HTTP/1.1\r\n`), { address, refusal: null, taken: line.length });
    });
  }

  it('waits for the whole line', () => {
    assert.equal(parse('PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r').taken, 'incomplete');
  });
});

describe('version 2', () => {
  const good: [string, Buffer, string | null][] = [
    ['IPv4', v2(0x21, 0x11, INET), '192.0.2.1'],
    ['IPv4 with extensions', v2(0x21, 0x11, Buffer.concat([INET, TLV])), '192.0.2.1'],
    ['IPv6', v2(0x21, 0x21, INET6), '2001:db8::1'],
    ['Unix', v2(0x21, 0x31, Buffer.alloc(216)), null],
    ['LOCAL', v2(0x20, 0x00, Buffer.alloc(0)), null],
    ['LOCAL with addresses', v2(0x20, 0x11, INET), null],
    ['of no family', v2(0x21, 0x00, TLV), null],
  ];
  for (const [name, bytes, address] of good) {
    it(`reads ${name}, and nothing behind it`, () => {
      assert.deepEqual(parse(Buffer.concat([bytes, Buffer.from('GET /')])), {
        address,
        refusal: null,
        taken: bytes.length,
      });
    });
  }

  it('waits for all that it announces', () => {
    assert.equal(parse(v2(0x21, 0x11, INET).subarray(0, -1)).taken, 'incomplete');
    assert.equal(parse(v2(0x21, 0x11, Buffer.alloc(4096)).subarray(0, -1)).taken, 'incomplete');
  });
});

describe('is refused', () => {
  const bad: readonly [ProxyRefusal, string, string | Buffer][] = [
    ['absent', 'a request', 'GET / HTTP/1.1\r\n\r\n'],
    ['absent', 'a TLS client hello', Buffer.from('1603010200', 'hex')],
    ['absent', 'another word', 'PROXZ'],
    ['absent', 'lower case', 'proxy TCP4'],
    ['absent', 'a signature with one bit wrong', Buffer.from('0d0a0d0a000d0a515549540b', 'hex')],
    ['v1_too_long', 'a line without end', `PROXY TCP4 ${'1'.repeat(200)}`],
    ['v1_line', 'LF alone', 'PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n'],
    ['v1_line', 'another family', 'PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n'],
    ['v1_line', 'two spaces', 'PROXY TCP4  192.0.2.1 10.0.0.1 1 2\r\n'],
    ['v1_line', 'too few parts', 'PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n'],
    ['v1_line', 'too many parts', 'PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n'],
    ['v1_line', 'a CR inside', 'PROXY TCP4 192.0.2.1 10.0.0.1 1\r2\r\n'],
    ['v1_address', 'a name', 'PROXY TCP4 localhost 10.0.0.1 1 2\r\n'],
    ['v1_address', 'an IPv6 address as TCP4', 'PROXY TCP4 ::1 10.0.0.1 1 2\r\n'],
    ['v1_address', 'an IPv4 destination as TCP6', 'PROXY TCP6 ::1 10.0.0.1 1 2\r\n'],
    ['v1_port', 'a port too high', 'PROXY TCP4 192.0.2.1 10.0.0.1 1 65536\r\n'],
    ['v1_port', 'a port with a leading zero', 'PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n'],
    ['v2_version', 'version 3', v2(0x31, 0x11, INET)],
    ['v2_command', 'command 2', v2(0x22, 0x11, INET)],
    ['v2_family', 'family 4', v2(0x21, 0x41, INET)],
    ['v2_family', 'datagrams', v2(0x21, 0x12, INET)],
    ['v2_too_short', 'IPv4 in 11 bytes', v2(0x21, 0x11, INET.subarray(1))],
    ['v2_too_short', 'IPv6 in 35 bytes', v2(0x21, 0x21, INET6.subarray(1))],
    ['v2_too_long', 'more than 4096 bytes', v2(0x21, 0x11, INET, 4097)],
  ];
  for (const [refusal, name, bytes] of bad) {
    it(`${name}: ${refusal}`, () => assert.deepEqual(parse(bytes), { address: null, refusal, taken: 'refused' }));
  }

  it('for every reason there is', () => {
    assert.deepEqual(new Set(bad.map(([refusal]) => refusal)), new Set(Object.keys(PROXY_REFUSALS)));
  });
});
