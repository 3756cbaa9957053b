import type { z } from 'zod';
import { formatPath, type MapNode, nodeAt, positionAt } from './config-node.ts';
import type { Findings } from './findings.ts';

/** Says what a schema found wrong, at the place in the file; never with the value. */
export function reportIssues(
  error: z.ZodError,
  root: MapNode,
  path: readonly (string | number)[],
  findings: Findings,
): void {
  for (const issue of error.issues) {
    const steps = issue.path.filter((step) => typeof step !== 'symbol');
    const unknown = issue.code === 'unrecognized_keys' ? issue.keys : [null];
    for (const key of unknown) {
      const full = [...path, ...steps, ...(key === null ? [] : [key])];
      const isMissing = nodeAt(root, full) === null && issue.code !== 'custom';
      const message = key !== null ? 'there is no such setting' : isMissing ? 'is missing' : issue.message;
      findings.error(positionAt(root, full), formatPath(full), message);
    }
  }
}
