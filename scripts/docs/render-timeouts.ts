import { type TimeoutName, TIMEOUTS, type TimeoutSpec } from '../../src/contract/timeouts.ts';
import { timeoutKey, withTimeoutKeys } from '../../src/control/config/timeout-settings.ts';
import { code, generatedNotice, markdownTable } from './markdown.ts';

/** docs/timeouts.md */
export function renderTimeouts(): string {
  const rows = (Object.entries(TIMEOUTS) as [TimeoutName, TimeoutSpec][]).map(([name, spec]) => [
    code(timeoutKey(name)),
    `${spec.defaultMs / 1000} s`,
    withTimeoutKeys(spec.starts),
    withTimeoutKeys(spec.ends),
    withTimeoutKeys(spec.doesNotBound),
  ]);
  return `${generatedNotice('src/contract/timeouts.ts')}

# Timeouts

Set them in seconds under \`slipstream.timeouts\`. A timeout never fires early, and at most one tick (100 ms) late. Where
they say nothing, \`first_byte\` and \`stream_first_event\` follow \`request\`.

${markdownTable(['Timeout', 'Default', 'Starts', 'Ends', 'Does not bound'], rows)}
`;
}
