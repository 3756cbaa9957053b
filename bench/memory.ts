// npm run bench:memory [-- --keys 1,100000 --idle-seconds 5]
// Memory of an idle gateway at its second start (the first fills the compile cache), and what keys add to it.
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayInstallation } from '../src/cli/bench/bench-processes.ts';
import type { Cleanup } from '../src/cli/bench/cleanup.ts';
import { processTree, readMemory } from '../src/cli/bench/process-stats.ts';
import { runScript, takeNumbers } from './bench-script.ts';

const KEY_COUNTS = [1, 100_000];
const IDLE_SECONDS = 5;
const MEGABYTE = 1024 * 1024;
/** Nobody is asked: an idle gateway has no connection to it. */
const MOCK_PORT = 9;

await runScript('bench:memory', memory);

async function memory(argv: readonly string[], cleanup: Cleanup): Promise<number> {
  const { numbers: counts, rest } = takeNumbers(argv, '--keys', KEY_COUNTS);
  const { numbers: idle } = takeNumbers(rest, '--idle-seconds', [IDLE_SECONDS]);
  print(`${'keys'.padStart(8)}  ${'process'.padEnd(12)}${'RSS MB'.padStart(9)}${'PSS MB'.padStart(9)}`);
  const sidecarMb: number[] = [];
  for (const keyCount of counts) {
    const options = { mockPort: MOCK_PORT, isTls: false, threads: 1, withSidecar: true, cpus: null, keyCount };
    const installation = await GatewayInstallation.create(options, cleanup);
    await (await installation.start(cleanup)).child.stop();
    const { child } = await installation.start(cleanup);
    await sleep((idle[0] ?? IDLE_SECONDS) * 1000);
    for (const { pid, command } of processTree(child.pid)) {
      const use = readMemory(pid);
      if (use === null) continue;
      const name = / (sidecar|control) /.exec(`${command} `)?.[1] ?? 'supervisor';
      const rss = use.rssBytes / MEGABYTE;
      if (name === 'sidecar') sidecarMb.push(rss);
      print(
        `${String(keyCount).padStart(8)}  ${name.padEnd(12)}${rss.toFixed(1).padStart(9)}${(use.pssBytes / MEGABYTE).toFixed(1).padStart(9)}`,
      );
    }
    await child.stop();
  }
  const [first = Number.NaN, ...others] = sidecarMb;
  for (const [i, rss] of others.entries()) {
    print(`${counts[i + 1]} keys: ${(rss - first).toFixed(1)} MB more in the sidecar than with ${counts[0]}`);
  }
  return 0;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
