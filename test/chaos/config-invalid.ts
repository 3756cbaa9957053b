import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { MODES } from '../support/gateway.ts';
import { ChaosRun } from './support/chaos-run.ts';
import type { Scenario } from './support/scenario.ts';

const REFUSED = /the new configuration is not used; the old one stays in force/g;
/** Ways to break a configuration: no YAML, an unknown key, nothing at all, a provider at no address. */
const BROKEN: readonly ((text: string) => string)[] = [
  (text) => `${text}\n  - [`,
  (text) => text.replace('slipstream:', 'slipstream:\n  no_such_setting: 1'),
  () => '',
  (text) => text.replace('api_base: "http:', 'api_base: "gopher:'),
];

export const scenario: Scenario = {
  name: 'config-invalid',
  description: 'a configuration that is broken, in one way after another: the old one serves on, and the log says why',
  modes: MODES,
  seconds: 6,
  run: async (context) => {
    const run = await ChaosRun.start(context);
    const good = readFileSync(run.gateway.configPath, 'utf8');
    const refusals = (): number => run.gateway.output().match(REFUSED)?.length ?? 0;
    await run.underLoad(
      { qps: 300, clients: 32, plan: (number) => ({ model: 'good', stream: number % 3 === 0 }) },
      async () => {
        for (const [index, breakIt] of BROKEN.entries()) {
          await run.pause((context.seconds * 500) / BROKEN.length);
          const before = refusals();
          replaceConfig(run.gateway.configPath, breakIt(good));
          await run.until(() => refusals() > before, `the log says of broken configuration ${index} that it is`);
          await run.wait(0.5 / BROKEN.length);
          run.expect(await run.isReady(), 'not ready with a broken file');
        }
        replaceConfig(run.gateway.configPath, good);
        await run.wait(0.1);
      },
    );
    const failed = run.outcomes.filter(({ ending, status }) => ending !== 'complete' || status !== 200);
    run.expect(failed.length === 0, `${failed.length} requests failed, the first: ${JSON.stringify(failed[0])}`);
    return run.finish({ broken: BROKEN.length });
  },
};

/** As deployment tools do: a new file in place of the old one. */
function replaceConfig(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}
