import { join } from 'node:path';

/** Where each tool's own script is; run by this Node, for the one found on the PATH may be too old for it. */
const TOOL_SCRIPTS = {
  tsc: 'typescript/bin/tsc',
  oxlint: 'oxlint/bin/oxlint',
  oxfmt: 'oxfmt/bin/oxfmt',
  knip: 'knip/bin/knip.js',
} as const;

export function toolCommand(tool: keyof typeof TOOL_SCRIPTS, ...args: string[]): string[] {
  return [process.execPath, join(import.meta.dirname, '..', 'node_modules', TOOL_SCRIPTS[tool]), ...args];
}
