import { z } from 'zod';
import { type TimeoutName, TIMEOUTS, type TimeoutSpec } from '../../contract/timeouts.ts';
import { router } from './router-keys.ts';
import { setting } from './setting-registry.ts';
import { seconds } from './value-schemas.ts';

const timeoutNames = Object.keys(TIMEOUTS) as TimeoutName[];

/** Where LiteLLM keeps what we call a timeout. */
const LITELLM_TIMEOUTS: Partial<Record<TimeoutName, readonly string[]>> = {
  requestMs: router('timeout', 'request_timeout'),
  streamFirstEventMs: router('stream_timeout'),
  streamIdleMs: router('stream_idle_timeout'),
};
/** Where nothing is said, these are as long as the whole call may last. */
const FOLLOW_REQUEST: readonly TimeoutName[] = ['firstByteMs', 'streamFirstEventMs'];
/** For these alone 0 has a meaning: at once. */
const MAY_BE_ZERO: readonly TimeoutName[] = ['shutdownDelayMs', 'drainMs'];

/** `clientHeadMs` → `client_head` */
export function timeoutKey(name: TimeoutName): string {
  return name.replace(/Ms$/, '').replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The table's sentences name timeouts as the program does; in the file they have other names. */
export function withTimeoutKeys(sentence: string): string {
  return timeoutNames.reduce((text, name) => text.replaceAll(name, timeoutKey(name)), sentence);
}

function timeoutSetting(name: TimeoutName): z.ZodType<number> {
  const spec: TimeoutSpec = TIMEOUTS[name];
  return setting(seconds({ zero: MAY_BE_ZERO.includes(name) }), {
    description: withTimeoutKeys(`From: ${spec.starts}. Until: ${spec.ends}. Does not bound: ${spec.doesNotBound}.`),
    unit: 'seconds',
    default: String(spec.defaultMs / 1000),
    ...(FOLLOW_REQUEST.includes(name) ? { follows: 'timeouts.request' } : {}),
    litellm: LITELLM_TIMEOUTS[name] ?? [],
  });
}

/** Every row of the table of timeouts is a setting. */
export const timeoutsSchema = z.strictObject(
  Object.fromEntries(timeoutNames.map((name) => [timeoutKey(name), timeoutSetting(name)])),
);
