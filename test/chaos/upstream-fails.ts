import type { Scenario } from './support/scenario.ts';
import { upstreamScenario } from './support/upstream-scenario.ts';

export const scenario: Scenario = upstreamScenario({
  name: 'upstream-fails',
  description: 'a provider that answers 500 or 429, or streams that begin with an error',
  faults: [
    { fault: 'status-500', json: ['status 500'], stream: ['status 500'], jsonIsSaved: true, streamIsSaved: true },
    { fault: 'status-429', json: ['status 429'], stream: ['status 429'], jsonIsSaved: true, streamIsSaved: true },
    {
      fault: 'error-first',
      json: ['ok'],
      stream: ['stream-error'],
      jsonIsSaved: true,
      streamIsSaved: true,
    },
  ],
});
