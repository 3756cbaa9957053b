import { actorOf } from '../actor.ts';
import { adminError } from '../admin-error.ts';
import type { AdminServices } from '../admin-services.ts';
import { type AdminCall, type AdminEndpoint, endpoint } from '../endpoint.ts';
import {
  deleteKeysReply,
  deleteKeysRequest,
  generateKeyReply,
  generateKeyRequest,
  inertKeyFields,
  keyInfoQuery,
  keyInfoReply,
  keyRequest,
  keyRowWithToken,
  updateKeyReply,
  updateKeyRequest,
} from '../schemas/key-schemas.ts';
import { countEarlierOfKey } from '../earlier-spend.ts';
import { checkAlias, checkOwners, createKey } from './create-key.ts';
import { changeableHash, findKey, keyNotFound } from './find-key.ts';
import { keyColumns } from './key-columns.ts';
import { keyReply, keyReplyWithToken } from './key-reply.ts';
import { shownKey } from '../shown-spend.ts';

/** What is taken and has no effect yet. */
const inert = { ...inertKeyFields, budget_limits: true };

const generate = endpoint({
  method: 'POST',
  paths: ['/key/generate'],
  tag: 'keys',
  access: 'admin',
  summary: 'Makes a key. Its text is in this reply and nowhere else, ever.',
  body: generateKeyRequest,
  inert,
  reply: generateKeyReply,
  handle: async (call, services) => {
    const { key, row } = await createKey(call.body, services, actorOf(call, services));
    return {
      ...keyReplyWithToken(await shownKey(row, services)),
      key,
      token_id: row.hash,
      duration: call.body.duration ?? null,
    };
  },
});

const update = endpoint({
  method: 'POST',
  paths: ['/key/update'],
  tag: 'keys',
  access: 'admin',
  summary: 'Changes the fields that are given; null clears one.',
  body: updateKeyRequest,
  inert: { ...inert, spend: true },
  reply: updateKeyReply,
  handle: async (call, services) => {
    const { key: given, ...request } = call.body;
    const hash = changeableHash(given, services);
    const { changes, keys } = services.store();
    const row = await changes.run(actorOf(call, services), async (scope) => {
      const before = await keys.find(hash, scope);
      if (before === null) throw keyNotFound();
      await checkOwners(request, services, scope);
      await checkAlias(request.key_alias, hash, services, scope);
      const after = await keys.update(hash, keyColumns(request, before.extra, scope.nowMs), scope);
      if (after !== null) await countEarlierOfKey(before, after, services, scope);
      return after;
    });
    if (row === null) throw keyNotFound();
    return { ...keyReply(await shownKey(row, services)), key: given };
  },
});

const remove = endpoint({
  method: 'POST',
  paths: ['/key/delete'],
  tag: 'keys',
  access: 'admin',
  summary: 'Deletes keys, by themselves, their hashes or their aliases. What they spent stays on record.',
  body: deleteKeysRequest,
  reply: deleteKeysReply,
  handle: async (call, services) => {
    const given = new Map<string, string>();
    for (const key of call.body.keys ?? []) given.set(changeableHash(key, services), key);
    for (const alias of call.body.key_aliases ?? []) {
      const row = await services.store().keys.findByAlias(alias);
      if (row !== null) given.set(row.hash, alias);
    }
    const named = [...(call.body.keys ?? []), ...(call.body.key_aliases ?? [])];
    if (named.length === 0) throw adminError('invalid_field', 'Name the keys in `keys` or `key_aliases`.', 'keys');
    const deleted = await services.store().keys.delete([...given.keys()], actorOf(call, services));
    if (deleted.length === 0) throw keyNotFound();
    return { deleted_keys: deleted.map((hash) => given.get(hash) ?? hash) };
  },
});

const info = endpoint({
  method: 'GET',
  paths: ['/key/info'],
  tag: 'keys',
  access: 'key-holder',
  summary: 'One key: any to the master key; to a key itself and the others of its user.',
  query: keyInfoQuery,
  reply: keyInfoReply,
  handle: async ({ caller, query }, services) => {
    const given = query.key ?? (caller.role === 'key-holder' ? caller.record.hash : null);
    if (given === null) throw adminError('invalid_field', 'Name the key in `key`.', 'key');
    const row = await findKey(given, caller, services);
    return { key: given, info: keyReply(row) };
  },
});

const block = endpoint({
  method: 'POST',
  paths: ['/key/block'],
  tag: 'keys',
  access: 'admin',
  summary: 'Requests with the key are refused until it is unblocked.',
  body: keyRequest,
  reply: keyRowWithToken,
  handle: (call, services) => setBlocked(call, services, true),
});

const unblock = endpoint({
  method: 'POST',
  paths: ['/key/unblock'],
  tag: 'keys',
  access: 'admin',
  summary: 'Requests with the key are served again.',
  body: keyRequest,
  reply: keyRowWithToken,
  handle: (call, services) => setBlocked(call, services, false),
});

async function setBlocked(
  call: AdminCall<unknown, { readonly key: string }>,
  services: AdminServices,
  blocked: boolean,
): Promise<ReturnType<typeof keyReplyWithToken>> {
  const hash = changeableHash(call.body.key, services);
  const row = await services.store().keys.setBlocked(hash, blocked, actorOf(call, services));
  if (row === null) throw keyNotFound();
  return keyReplyWithToken(await shownKey(row, services));
}

export const KEY_ENDPOINTS: readonly AdminEndpoint[] = [generate, update, remove, info, block, unblock];
