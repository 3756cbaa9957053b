import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { bindPublicAddress, urlOf } from './listen-address.ts';
import { StartError } from './start-error.ts';

describe('bindPublicAddress', () => {
  it('binds names as well as addresses, and any free port for 0', async () => {
    for (const host of ['127.0.0.1', 'localhost']) {
      const bound = await bindPublicAddress(host, 0);
      assert.ok(bound.address().port > 0);
      assert.ok(bound.fd() > 2);
      bound.close();
    }
  });

  it('names port and remedy when it is taken, and frees it when closed', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await assert.rejects(
      bindPublicAddress('127.0.0.1', port),
      (error) =>
        error instanceof StartError &&
        error.message.includes(`port ${port} is already in use`) &&
        error.message.includes(`npm start -- --port ${port + 1}`),
    );
    server.close();
    await once(server, 'close');
    (await bindPublicAddress('127.0.0.1', port)).close();
  });

  it('names an address that this machine does not have, and a name that nobody knows', async () => {
    await assert.rejects(bindPublicAddress('192.0.2.1', 0), /192\.0\.2\.1 is not an address of this machine/);
    await assert.rejects(bindPublicAddress('no-such-host.invalid', 0), /cannot listen on "no-such-host\.invalid"/);
  });
});

describe('urlOf', () => {
  it("shows this machine's own address for all addresses, and brackets around IPv6", () => {
    assert.equal(urlOf('0.0.0.0', 1), 'http://127.0.0.1:1');
    assert.equal(urlOf('::', 1), 'http://127.0.0.1:1');
    assert.equal(urlOf('::1', 1), 'http://[::1]:1');
    assert.equal(urlOf('10.0.0.1', 1), 'http://10.0.0.1:1');
  });
});
