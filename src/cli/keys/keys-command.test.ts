import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { UsageError } from '../command-line.ts';
import { StartError } from '../start-error.ts';
import { keysCommand } from './keys-command.ts';

function withMasterKey(t: TestContext, key: string | null): void {
  const before = { ...process.env };
  t.after(() => {
    process.env = before;
  });
  const { LITELLM_MASTER_KEY: _, SLIPSTREAM_MASTER_KEY: __, ...rest } = before;
  process.env = key === null ? rest : { ...rest, LITELLM_MASTER_KEY: key };
}

describe('slipstream keys', () => {
  it('says what is wrong with what it was told', async (t) => {
    withMasterKey(t, 'sk-master-0123456789abcdef');
    for (const [argv, complaint] of [
      [[], /create, list or revoke/],
      [['frobnicate'], /create, list or revoke/],
      [['revoke'], /name one key/],
      [['list', 'x'], /name one key/],
      [['create', '--max-budget', 'much', '--url', 'http://127.0.0.1:9'], /--max-budget must be a number/],
      [['list', '--url', 'gopher://x'], /--url must be an address/],
    ] as const) {
      await assert.rejects(keysCommand(argv), (error) => error instanceof UsageError && complaint.test(error.message));
    }
  });

  it('says that there is no gateway, or no master key', async (t) => {
    const empty = mkdtempSync(join(tmpdir(), 'keys-command-'));
    t.after(() => rmSync(empty, { recursive: true }));
    withMasterKey(t, null);
    await assert.rejects(keysCommand(['list', '--data-dir', empty]), /the master key is needed/);
    withMasterKey(t, 'sk-master-0123456789abcdef');
    await assert.rejects(keysCommand(['list', '--data-dir', empty]), /no gateway runs in/);
  });

  it('shows the gateway’s own words when it refuses', async (t) => {
    withMasterKey(t, 'sk-master-0123456789abcdef');
    const server = createServer((request, response) => {
      assert.equal(request.headers.authorization, 'Bearer sk-master-0123456789abcdef');
      response.writeHead(404).end('{"error":{"message":"Key not found in database."}}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await assert.rejects(keysCommand(['revoke', 'nobody', '--url', url]), (error) => {
      return error instanceof StartError && error.message === 'Key not found in database.';
    });
  });
});
