import type { Scenario } from './support/scenario.ts';
import { upstreamScenario } from './support/upstream-scenario.ts';

export const scenario: Scenario = upstreamScenario({
  name: 'upstream-lies-about-length',
  description: 'a provider that sends less than it says, more than it says, or two answers',
  faults: [
    {
      fault: 'length-too-long',
      json: ['status 502'],
      stream: ['ok', 'stream-error'],
      jsonIsSaved: true,
      streamIsSaved: false,
    },
    {
      fault: 'length-too-short',
      json: ['ok', 'status 502'],
      stream: ['ok', 'stream-error'],
      jsonIsSaved: true,
      streamIsSaved: false,
    },
    { fault: 'second-answer', json: ['ok'], stream: ['ok'], jsonIsSaved: true, streamIsSaved: true },
  ],
});
