import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startMock } from '../../src/cli/mock/mock-server.ts';
import { MODES } from '../support/gateway.ts';
import { makeCertificate } from '../../src/cli/mock/certificate-maker.ts';
import { ChaosRun } from './support/chaos-run.ts';
import type { ModelEntry } from './support/gateway-yaml.ts';
import type { Scenario } from './support/scenario.ts';

const DAY_MS = 86_400_000;
const SEEN = ['valid', 'expired', 'other-name', 'self-signed', 'unchecked'] as const;

export const scenario: Scenario = {
  name: 'upstream-certificates',
  description:
    'HTTPS providers with an expired, a foreign or an unknown certificate: 502, and another deployment serves',
  modes: MODES,
  seconds: 4,
  run: async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'slipstream-certificates-'));
    context.cleanup.add(() => rmSync(folder, { recursive: true, force: true }));
    const authority = makeCertificate({ name: 'Chaos Authority', isAuthority: true });
    const authorityPath = join(folder, 'authority.pem');
    writeFileSync(authorityPath, authority.certPem);
    const own = { name: 'localhost', altNames: ['localhost'] };
    const past = { notBefore: new Date(Date.now() - 9 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) };
    const certificates = {
      valid: makeCertificate({ ...own, issuer: authority }),
      expired: makeCertificate({ ...own, ...past, issuer: authority }),
      'other-name': makeCertificate({ name: 'other.test', altNames: ['other.test'], issuer: authority }),
      'self-signed': makeCertificate(own),
      unchecked: makeCertificate({ ...own, ...past }),
    };
    const logs: string[] = [];
    const models: ModelEntry[] = [];
    for (const name of SEEN) {
      const { certPem, keyPem } = certificates[name];
      const log = join(folder, `${name}.ndjson`);
      const mock = await startMock({ tls: { cert: certPem, key: keyPem }, log, tokens: 8 });
      context.cleanup.add(() => mock.close());
      logs.push(log);
      const base = `https://localhost:${mock.port}/v1`;
      const verify = `ssl_verify: ${name === 'unchecked' ? 'false' : authorityPath}`;
      models.push({ name, base, params: verify }, { name: `saved-${name}`, base, params: `${verify}, order: 1` });
    }
    const run = await ChaosRun.start(context, {
      models: ({ goodUrl }) => [
        ...models,
        ...SEEN.map((name) => ({ name: `saved-${name}`, base: goodUrl, params: 'order: 2' })),
      ],
      providerLogs: logs,
    });
    const names = [...models.map(({ name }) => name), 'good'];
    await run.underLoad({
      qps: 200,
      clients: 64,
      plan: () => ({
        model: names[Math.floor(context.random() * names.length)] ?? 'good',
        stream: context.random() < 0.4,
      }),
    });
    const isBad = (model: string): boolean => model === 'expired' || model === 'other-name' || model === 'self-signed';
    for (const { plan, status, ending, errorName } of run.outcomes) {
      const wanted = isBad(plan.model) ? 502 : 200;
      const isRight = ending === 'complete' && status === wanted;
      if (!isRight) run.violations.push(`${plan.model}: ${ending} ${status} ${errorName ?? ''}, not ${wanted}`);
    }
    return run.finish();
  },
};
