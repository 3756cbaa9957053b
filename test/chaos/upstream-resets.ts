import type { Scenario } from './support/scenario.ts';
import { upstreamScenario } from './support/upstream-scenario.ts';

export const scenario: Scenario = upstreamScenario({
  name: 'upstream-resets',
  description: 'a provider that resets the connection in place of its answer, or in the middle of it',
  faults: [
    { fault: 'reset', json: ['status 502'], stream: ['status 502'], jsonIsSaved: true, streamIsSaved: true },
    { fault: 'reset-middle', json: ['status 502'], stream: ['stream-error'], jsonIsSaved: true, streamIsSaved: false },
  ],
});
