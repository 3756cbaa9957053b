import type { Scenario } from './support/scenario.ts';
import { upstreamScenario } from './support/upstream-scenario.ts';

export const scenario: Scenario = upstreamScenario({
  name: 'upstream-half-closes',
  description: 'a provider that ends its side of the connection in place of its answer, or in the middle of it',
  faults: [
    { fault: 'half-close', json: ['status 502'], stream: ['status 502'], jsonIsSaved: true, streamIsSaved: true },
    {
      fault: 'half-close-middle',
      json: ['status 502'],
      stream: ['stream-error'],
      jsonIsSaved: true,
      streamIsSaved: false,
    },
  ],
});
