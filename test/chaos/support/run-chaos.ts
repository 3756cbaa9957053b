// npm run chaos [-- NAME…] [--seconds N] [--seed N] [--mode sidecar|no-sidecar] [--threads N] [--list]
// Runs the scenarios named, or all of them, one after the other. Exit status 1 when anything was as it must not be.
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { Cleanup } from '../../../src/cli/bench/cleanup.ts';
import type { Mode } from '../../support/gateway.ts';
import { seededRandom, type Scenario, type ScenarioReport } from './scenario.ts';

const FOLDER = join(import.meta.dirname, '..');
/** Beyond the time of its load: starts, recoveries, the end. */
const GRACE_SECONDS = 120;

interface Row {
  readonly title: string;
  readonly seconds: number;
  readonly report: ScenarioReport;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string' },
    seed: { type: 'string' },
    mode: { type: 'string' },
    threads: { type: 'string', default: '1' },
    list: { type: 'boolean' },
  },
});
const scenarios = await loadScenarios(positionals);
if (values.list === true) {
  for (const { name, description, modes } of scenarios) print(`${name.padEnd(32)}${description} (${modes.join(', ')})`);
} else {
  process.exitCode = await runAll();
}

async function loadScenarios(names: readonly string[]): Promise<Scenario[]> {
  const files = globSync('*.ts', { cwd: FOLDER }).filter((file) => !file.endsWith('.test.ts'));
  const known = files.map((file) => basename(file, '.ts')).sort();
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    process.stderr.write(`chaos: no scenario ${unknown}; there are: ${known.join(', ')}\n`);
    process.exit(2);
  }
  const wanted = names.length === 0 ? known : names;
  const found: Scenario[] = [];
  for (const name of wanted) {
    const { scenario } = (await import(`../${name}.ts`)) as { scenario: Scenario };
    found.push(scenario);
  }
  return found;
}

async function runAll(): Promise<number> {
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
  print(`seed ${seed}`);
  const rows: Row[] = [];
  for (const scenario of scenarios) {
    for (const mode of scenario.modes) {
      if (values.mode !== undefined && values.mode !== mode) continue;
      const reason = scenario.unavailable?.() ?? null;
      if (reason === null) rows.push(await runOne(scenario, mode, seed));
      else print(`-- ${scenario.name}: left out: ${reason}`);
    }
  }
  printTable(rows);
  const failed = rows.filter(({ report }) => report.violations.length > 0);
  print(failed.length === 0 ? `all ${rows.length} held` : `FAILED: ${failed.map(({ title }) => title).join(', ')}`);
  return failed.length === 0 && rows.length > 0 ? 0 : 1;
}

async function runOne(scenario: Scenario, mode: Mode, seed: number): Promise<Row> {
  const title = mode === 'sidecar' ? scenario.name : `${scenario.name} (${mode})`;
  print(`-- ${title}: ${scenario.description}`);
  const seconds = Number(values.seconds ?? scenario.seconds);
  const cleanup = new Cleanup();
  const startedMs = performance.now();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const limitSeconds = scenario.seconds + seconds + GRACE_SECONDS;
  const timer = setTimeout(() => reject(new Error(`not over after ${limitSeconds} s`)), limitSeconds * 1000);
  let report: ScenarioReport;
  try {
    const note = (text: string): void => print(`   ${text}`);
    const run = scenario.run({
      mode,
      threads: Number(values.threads),
      seconds,
      random: seededRandom(seed),
      cleanup,
      note,
    });
    report = await Promise.race([run, late]);
  } catch (error) {
    report = { facts: {}, violations: [error instanceof Error ? (error.stack ?? error.message) : String(error)] };
  } finally {
    clearTimeout(timer);
    await cleanup.run();
  }
  for (const violation of report.violations) print(`   VIOLATION: ${violation}`);
  print(`   ${factsText(report)}`);
  return { title, seconds: (performance.now() - startedMs) / 1000, report };
}

function printTable(rows: readonly Row[]): void {
  print('');
  for (const { title, seconds, report } of rows) {
    const verdict = report.violations.length === 0 ? 'held' : 'FAILED';
    print(`${verdict.padEnd(7)}${title.padEnd(40)}${seconds.toFixed(0).padStart(4)} s  ${factsText(report)}`);
  }
}

function factsText({ facts }: ScenarioReport): string {
  return Object.entries(facts)
    .map(([name, value]) => `${name} ${typeof value === 'number' ? Number(value.toFixed(1)) : value}`)
    .join(', ');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
