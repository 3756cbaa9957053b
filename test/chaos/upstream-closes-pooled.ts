import type { Scenario } from './support/scenario.ts';
import { upstreamScenario } from './support/upstream-scenario.ts';

export const scenario: Scenario = upstreamScenario({
  name: 'upstream-closes-pooled',
  description: 'a provider that closes kept-alive connections as they are used again',
  faults: [
    { fault: 'close-on-reuse', json: ['ok'], stream: ['ok'], jsonIsSaved: true, streamIsSaved: true },
    { fault: 'reset-on-reuse', json: ['ok'], stream: ['ok'], jsonIsSaved: true, streamIsSaved: true },
    { fault: 'close-when-idle', json: ['ok'], stream: ['ok'], jsonIsSaved: true, streamIsSaved: true },
  ],
});
