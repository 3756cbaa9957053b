// Nanoseconds that failure handling costs a request whose deployment is well, and one whose deployment has failed lately.
//   node bin/slipstream.js node -- bench/micro/deployment-health.ts
import { DeploymentHealth, NO_TICKET, newHealthMemory } from '../../src/sidecar/routing/deployment-health.ts';
import { report } from './http1-median-time.ts';

const health = new DeploymentHealth(newHealthMemory(), { onBenched: () => undefined, onBack: () => undefined });
const well = health.record('well');
const failing = health.record('failing');
const failure = { reason: 'server', benchMs: 1e9, tolerated: 0, isAlone: false } as const;
health.onFailure(failing, NO_TICKET, failure);
let seen = 0;

report('is it free: one that is well', () => {
  if (health.isFree(well)) seen += 1;
});
report('ticket and budget of a first attempt: one that is well', () => {
  if (health.takeTicket(well, false) === NO_TICKET) seen += 1;
  well.budget.onRequest(1000);
});
report('availability: one that is benched', () => {
  if (health.availability(failing, 1000) === 'soft') seen += 1;
});
report('a failure of one that is benched', () => {
  health.onFailure(failing, NO_TICKET, failure);
});
if (seen === 0) process.exitCode = 1;
