import { mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { processName, processStartedMs } from '../../contract/segment-name.ts';
import type { Logger } from '../../runtime/logger.ts';
import { isProcessLockHeld, takeProcessLock } from '../../runtime/process-lock.ts';

/** A lock file may be there before it is locked; nobody takes that long in between. */
const STALE_AFTER_MS = 60_000;

/** The name under which a process writes its segments, and the lock that says it lives. */
export interface ProcessClaim {
  readonly name: string;
  release(): void;
}

/**
 * Takes a name that no other process has. As long as the process lives, `<directory>/<name>.lock` is held: whoever reads
 * the journal knows by it which segments may still grow, and which requests may still end.
 */
export function claimProcessName(directory: string, nodeId: string, logger: Logger): ProcessClaim {
  const startedMs = Date.now();
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    removeStale(directory, startedMs);
    for (let epochMs = startedMs; ; epochMs += 1) {
      const name = processName(nodeId, epochMs);
      const path = join(directory, `${name}.lock`);
      const lock = takeProcessLock(path);
      if (lock !== null) return { name, release: () => releaseAndRemove(lock, path) };
    }
  } catch (error) {
    // Serving counts for more: a reader takes this process for one that is gone, and corrects that by the later lines.
    logger.error('this process can not be marked as a writer of the journal', { error: String(error) });
    return { name: processName(nodeId, startedMs), release: () => undefined };
  }
}

function releaseAndRemove(lock: { release(): void }, path: string): void {
  lock.release();
  try {
    unlinkSync(path);
  } catch {
    // The next start removes it.
  }
}

function removeStale(directory: string, nowMs: number): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const isOld = nowMs - processStartedMs(name.slice(0, -'.lock'.length)) > STALE_AFTER_MS;
    if (name.endsWith('.lock') && isOld && !isProcessLockHeld(path)) unlinkSync(path);
  }
}
