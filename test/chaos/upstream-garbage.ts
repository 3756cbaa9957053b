import type { Scenario } from './support/scenario.ts';
import { upstreamScenario } from './support/upstream-scenario.ts';

export const scenario: Scenario = upstreamScenario({
  name: 'upstream-garbage',
  description: 'a provider that sends no HTTP, or chunks that are none',
  faults: [
    { fault: 'garbage', json: ['status 502'], stream: ['status 502'], jsonIsSaved: true, streamIsSaved: true },
    {
      fault: 'garbage-middle',
      json: ['status 502'],
      stream: ['status 502', 'stream-error'],
      jsonIsSaved: true,
      streamIsSaved: false,
    },
  ],
});
