import type { Scenario } from './support/scenario.ts';
import { upstreamScenario } from './support/upstream-scenario.ts';

export const scenario: Scenario = upstreamScenario({
  name: 'upstream-sends-100-mb',
  description: 'a provider whose answers have 100 MB, as JSON and as streams',
  faults: [{ fault: 'large', json: ['ok'], stream: ['ok'], jsonIsSaved: true, streamIsSaved: true }],
  qps: 60,
  faultShare: 0.05,
  timeouts: { request: 60 },
});
