import { hashKey } from '../../config/master-key.ts';
import { addDuration, parseDuration } from '../../../domain/time/duration.ts';
import { isConflict } from '../../store/store-error.ts';
import { actorOf } from '../actor.ts';
import { adminError } from '../admin-error.ts';
import { endpoint } from '../endpoint.ts';
import { generateKeyReply, inertKeyFields, regenerateKeyRequest } from '../schemas/key-schemas.ts';
import { countEarlierOfKey } from '../earlier-spend.ts';
import { checkAlias, checkOwners, refuseTakenHash } from './create-key.ts';
import { changeableHash, keyNotFound } from './find-key.ts';
import { keyColumns } from './key-columns.ts';
import { shownKey } from '../shown-spend.ts';
import { keyReplyWithToken } from './key-reply.ts';
import { newKeyText, shownName } from './key-text.ts';

/** What is taken and has no effect yet. */
const inert = { ...inertKeyFields, budget_limits: true };

export const regenerateKeyEndpoint = endpoint({
  method: 'POST',
  paths: ['/key/:key/regenerate', '/key/regenerate'],
  tag: 'keys',
  access: 'admin',
  summary:
    'Gives a key a new text, and the fields that are given. With `grace_period` the old text goes on for so long.',
  body: regenerateKeyRequest,
  inert: { ...inert, spend: true },
  reply: generateKeyReply,
  handle: async (call, services) => {
    const { key: inBody, new_key: newKey, grace_period: grace, ...request } = call.body;
    const given = call.params['key'] ?? inBody;
    if (given === undefined || given === null) throw adminError('invalid_field', 'Name the key.', 'key');
    const hash = changeableHash(given, services);
    const key = newKey ?? newKeyText();
    const newHash = hashKey(key);
    if (newHash === hash) throw adminError('resource_exists', 'The new key is the old one.', 'new_key');
    refuseTakenHash(newHash, services);
    const period = grace === undefined || grace === null ? null : parseDuration(grace);
    const { changes, keys, budgets } = services.store();
    try {
      const row = await changes.run(actorOf(call, services), async (scope) => {
        const { nowMs } = scope;
        const before = await keys.find(hash, scope);
        if (before === null) throw keyNotFound();
        await checkOwners(request, services, scope);
        await checkAlias(request.key_alias, hash, services, scope);
        const columns = keyColumns(request, before.extra, nowMs);
        const extra = { ...(columns.extra ?? before.extra), ...rotated(before.extra, nowMs) };
        const graceUntilMs = period === null ? null : addDuration(nowMs, period);
        await budgets.carryOver(hash, newHash, nowMs, scope);
        const rotation = { hash, newHash, changes: { ...columns, extra, key_name: shownName(key) }, graceUntilMs };
        const after = await keys.rotate(rotation, scope);
        if (after !== null) await countEarlierOfKey(before, after, services, scope);
        return after;
      });
      if (row === null) throw keyNotFound();
      return {
        ...keyReplyWithToken(await shownKey(row, services)),
        key,
        token_id: row.hash,
        duration: request.duration ?? null,
      };
    } catch (error) {
      if (!isConflict(error)) throw error;
      throw adminError('resource_exists', 'The new key, or its alias, exists already.', 'new_key');
    }
  },
});

/** What LiteLLM counts of rotations; no column needs it. */
function rotated(extra: Readonly<Record<string, unknown>>, nowMs: number): Record<string, unknown> {
  const count = typeof extra['rotation_count'] === 'number' ? extra['rotation_count'] : 0;
  return { rotation_count: count + 1, last_rotation_at: new Date(nowMs).toISOString() };
}
