import { join } from 'node:path';
import { describe } from 'node:test';
import { filesOfGroup, type TestGroup } from './test-groups.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Runs the files of a group one after another in this process, each as a suite: its hooks are for its own tests only. */
export function runGroup(group: TestGroup): void {
  for (const file of filesOfGroup(group)) {
    describe(file, async () => {
      await import(join(ROOT, file));
    });
  }
}
