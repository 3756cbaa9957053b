import { spawnSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

export interface MachineDescription {
  readonly cpu: string;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** Of the checkout; null when this is not one. `-dirty` with uncommitted changes. */
  readonly commit: string | null;
  /** One-minute load before the run: above about 0.3 others were at work. */
  readonly loadAverage: number;
  readonly startedAt: string;
}

export function describeMachine(): MachineDescription {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cpuCount: processors.length,
    memoryBytes: totalmem(),
    kernel: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
    commit: describeCommit(),
    loadAverage: loadavg()[0] ?? 0,
    startedAt: new Date().toISOString(),
  };
}

function describeCommit(): string | null {
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const result = spawnSync('git', ['-C', root, 'describe', '--always', '--dirty', '--abbrev=12'], { encoding: 'utf8' });
  return result.status === 0 ? result.stdout.trim() : null;
}
