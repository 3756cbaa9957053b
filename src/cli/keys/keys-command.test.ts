import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { UsageError } from '../command-line.ts';
import { StartError } from '../start-error.ts';
import { keysCommand } from './keys-command.ts';

const LAUNCHER = join(import.meta.dirname, '../../../bin/slipstream.js');

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

  it('prints no alias that would steer the terminal', async (t) => {
    const row = { token: 'a', key_name: 'sk-...b', user_id: null, team_id: 't\u009b2J', spend: 0, max_budget: null };
    const keys = [{ ...row, key_alias: 'x\u001b[2J\ny', expires: null, blocked: false }];
    const server = createServer((_request, response) => response.end(JSON.stringify({ keys, total_pages: 1 })));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const env = { ...process.env, LITELLM_MASTER_KEY: 'sk-master-0123456789abcdef' };
    const { stdout } = await promisify(execFile)(process.execPath, [LAUNCHER, 'keys', 'list', '--url', url], { env });
    assert.match(stdout, /^a +sk-\.\.\.b +x\?\[2J\?y +t\?2J +- /m);
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
