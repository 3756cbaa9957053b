import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compileYaml, GENERAL, MASTER_KEY } from './compile-yaml.ts';

describe('settings of overload', () => {
  it('are off unless set', () => {
    const { limits, timeouts } = compileYaml(GENERAL).config.snapshot.settings;
    assert.equal(limits.maxInFlight, null);
    assert.equal(limits.maxQueue, null);
    assert.equal(limits.maxInFlightBytes, null);
    assert.equal(limits.minBodyRate, 1024);
    assert.equal(timeouts.queueWaitMs, 2_000);
  });

  it('are those of slipstream.limits', () => {
    const text =
      'slipstream: {limits: {max_in_flight: 64, max_queue: 0, max_in_flight_bytes: 67108864, min_body_rate: 0}, timeouts: {queue_wait: 0.25}}';
    const { config, errors, warnings } = compileYaml(`${GENERAL}${text}`);
    assert.deepEqual([errors, warnings.filter((line) => line.includes('slipstream'))], [[], []]);
    const { limits, timeouts } = config.snapshot.settings;
    assert.deepEqual([limits.maxInFlight, limits.maxQueue, timeouts.queueWaitMs], [64, 0, 250]);
    assert.deepEqual([limits.maxInFlightBytes, limits.minBodyRate], [64 * 1024 * 1024, 0]);
  });

  it('LiteLLM’s global_max_parallel_requests is max_in_flight', () => {
    const text = `general_settings: {master_key: ${MASTER_KEY}, global_max_parallel_requests: 7}`;
    const { config, errors, warnings } = compileYaml(text);
    assert.deepEqual([errors, warnings.filter((line) => line.includes('parallel'))], [[], []]);
    assert.equal(config.snapshot.settings.limits.maxInFlight, 7);
  });
});
