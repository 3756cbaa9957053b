import type { Scenario } from './support/scenario.ts';
import { upstreamScenario } from './support/upstream-scenario.ts';

export const scenario: Scenario = upstreamScenario({
  name: 'upstream-refuses',
  description: 'a provider that takes no connection',
  faults: [{ fault: 'refuse', json: ['status 502'], stream: ['status 502'], jsonIsSaved: true, streamIsSaved: true }],
});
