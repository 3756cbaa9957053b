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
    const before = await services.store().keys.find(hash);
    if (before === null) throw keyNotFound();
    const key = newKey ?? newKeyText();
    const newHash = hashKey(key);
    if (newHash === hash) throw adminError('resource_exists', 'The new key is the old one.', 'new_key');
    refuseTakenHash(newHash, services);
    await checkOwners(request, services);
    await checkAlias(request.key_alias, hash, services);
    const actor = actorOf(call, services);
    const columns = keyColumns(request, before.extra, actor.nowMs);
    const extra = { ...(columns.extra ?? before.extra), ...rotated(before.extra, actor.nowMs) };
    const period = grace === undefined || grace === null ? null : parseDuration(grace);
    try {
      const row = await services.store().keys.rotate(
        {
          hash,
          newHash,
          changes: { ...columns, extra, key_name: shownName(key) },
          graceUntilMs: period === null ? null : addDuration(actor.nowMs, period),
        },
        actor,
      );
      if (row === null) throw keyNotFound();
      await services.store().budgets.carryOver(hash, newHash, actor.nowMs);
      await countEarlierOfKey(before, row, services);
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
