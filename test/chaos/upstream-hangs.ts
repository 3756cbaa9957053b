import type { Scenario } from './support/scenario.ts';
import { upstreamScenario } from './support/upstream-scenario.ts';

export const scenario: Scenario = upstreamScenario({
  name: 'upstream-hangs',
  description: 'a provider that says nothing, or stops in the middle',
  faults: [
    { fault: 'hang-head', json: ['status 408'], stream: ['status 408'], jsonIsSaved: true, streamIsSaved: true },
    { fault: 'hang-middle', json: ['status 408'], stream: ['stream-error'], jsonIsSaved: false, streamIsSaved: false },
  ],
  qps: 60,
});
