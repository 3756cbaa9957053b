import { findPostgres, startPostgres } from '../support/postgres-server.ts';
import { ChaosRun } from './support/chaos-run.ts';
import { compareDatabase, PRICES } from './support/ingestion-run.ts';
import type { Scenario } from './support/scenario.ts';

const TIMES = 2;

export const scenario: Scenario = {
  name: 'database-away',
  description:
    'a PostgreSQL that crashes and is away, again and again: traffic does not notice, each event is in it once when it is back',
  modes: ['sidecar', 'no-sidecar'],
  seconds: 10,
  unavailable: () => (findPostgres() === null ? 'there is no PostgreSQL server on this machine' : null),
  run: async (context) => {
    const server = startPostgres();
    context.cleanup.add(() => server.remove());
    const run = await ChaosRun.start(context, {
      models: ({ goodUrl }) => [{ name: 'priced', base: goodUrl, params: PRICES }],
      slipstream: ['journal: { max_segment_bytes: 100000, keep: 86400 }'],
      env: { DATABASE_URL: server.url },
    });
    const rows = async (): Promise<number> => (await run.admin('/spend/logs?page_size=1')).status;
    await run.underLoad(
      { qps: 400, clients: 64, plan: (number) => ({ model: 'priced', stream: number % 3 === 0 }) },
      async () => {
        for (let i = 0; i < TIMES; i += 1) {
          await run.pause((context.seconds * 300) / TIMES);
          server.stop();
          await run.until(async () => (await rows()) === 503, 'routes that need the database say so');
          run.expect(await run.isReady(), 'not ready without the database');
          await run.wait(0.5 / TIMES);
          server.start();
          await run.until(async () => (await rows()) !== 503, 'the database is used again');
        }
        await run.wait(0.1);
      },
    );
    const failed = run.outcomes.filter(({ ending, status }) => ending !== 'complete' || status !== 200);
    run.expect(failed.length === 0, `${failed.length} requests noticed, the first: ${JSON.stringify(failed[0])}`);
    const report = await run.finish({ times: TIMES });
    const verdict = await compareDatabase(run.gateway.dataDirectory, server.url);
    return {
      facts: { ...report.facts, ...verdict.facts },
      violations: [...report.violations, ...verdict.violations],
    };
  },
};
