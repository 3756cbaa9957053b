import type { Scenario } from './support/scenario.ts';
import { upstreamScenario } from './support/upstream-scenario.ts';

export const scenario: Scenario = upstreamScenario({
  name: 'upstream-drips',
  description: 'a provider that sends a byte a second, from its head on or after it',
  faults: [
    { fault: 'drip-head', json: ['status 408'], stream: ['status 408'], jsonIsSaved: true, streamIsSaved: true },
    {
      fault: 'drip-body',
      json: ['status 408'],
      stream: ['timeout'],
      jsonIsSaved: false,
      streamIsSaved: false,
    },
  ],
  qps: 40,
});
