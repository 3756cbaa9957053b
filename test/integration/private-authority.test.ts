import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeCertificate } from '../../src/cli/mock/certificate-maker.ts';
import { ask } from '../support/raw-client.ts';
import { CONFIG_ENV, makeDirectory, MASTER_KEY, SlipstreamProcess } from '../supervisor/slipstream-process.ts';

/** A company's own authority, which no machine trusts by itself. */
const authority = makeCertificate({ name: 'company authority', isAuthority: true });
const provider = makeCertificate({ name: 'provider', altNames: ['127.0.0.1', 'localhost'], issuer: authority });

const server = createServer({ cert: provider.certPem, key: provider.keyPem }, (_request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end('{"model":"up"}');
});

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
after(() => {
  server.closeAllConnections();
  server.close();
});

describe('a provider whose certificate is of a private authority', { concurrency: 2 }, () => {
  const table: [string, (pem: string) => Readonly<Record<string, string>>, number][] = [
    ['is not trusted by itself', () => ({}), 502],
    ['is trusted by NODE_EXTRA_CA_CERTS', (pem) => ({ NODE_EXTRA_CA_CERTS: pem }), 200],
    ["is trusted by the system's store", (pem) => ({ SSL_CERT_FILE: pem }), 200],
    [
      "is trusted by the system's store as Node loads it",
      (pem) => ({ SSL_CERT_FILE: pem, NODE_USE_SYSTEM_CA: '1' }),
      200,
    ],
  ];
  for (const mode of [[], ['--no-sidecar']]) {
    // In one process the environment is there anyway.
    for (const [name, env, status] of mode.length === 0 ? table : table.slice(1, 2)) {
      it(`${name}, ${mode.length === 0 ? 'two processes' : 'one process'}`, async (t) => {
        const directory = makeDirectory(t);
        const pem = join(directory, 'company.pem');
        writeFileSync(pem, authority.certPem);
        const config = join(directory, 'config.yaml');
        const { port } = server.address() as AddressInfo;
        writeFileSync(
          config,
          `model_list: [{ model_name: m, litellm_params: { model: openai/m, api_base: "https://127.0.0.1:${port}/v1", api_key: k } }]\n` +
            `general_settings: { master_key: ${MASTER_KEY} }\n` +
            'litellm_settings: { num_retries: 0 }\n',
        );
        const where = ['--config', config, '--data-dir', join(directory, 'data'), '--host', '127.0.0.1', '--port', '0'];
        const gateway = new SlipstreamProcess(t, ['start', ...where, ...mode], { env: { ...CONFIG_ENV, ...env(pem) } });
        const url = new URL(await gateway.ready());
        const reply = await ask(Number(url.port), { key: MASTER_KEY, body: '{"model":"m"}' });
        assert.equal(reply.status, status, reply.text);
        if (status === 502) assert.match(reply.text, /TLS handshake/);
        assert.equal(await gateway.stop(), 0);
      });
    }
  }
});
