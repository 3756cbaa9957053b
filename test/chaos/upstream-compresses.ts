import type { Scenario } from './support/scenario.ts';
import { upstreamScenario } from './support/upstream-scenario.ts';

export const scenario: Scenario = upstreamScenario({
  name: 'upstream-compresses',
  description: 'a provider that ignores accept-encoding: identity',
  faults: [{ fault: 'gzip', json: ['ok'], stream: ['ok'], jsonIsSaved: true, streamIsSaved: true }],
});
