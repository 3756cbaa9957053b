import { resolveModel, type CompiledGroup } from '../compiled-snapshot.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { mayUseModel } from '../keys/resolved-key.ts';

/** An entry of `/v1/models`, in OpenAI's shape. */
export interface ListedModel {
  readonly id: string;
  readonly object: 'model';
  /** Unix seconds; a fixed date, since groups have none. */
  readonly created: number;
  readonly owned_by: string;
}

/** LiteLLM's constant, which its clients have come to see. */
const CREATED_UNIX_SECONDS = 1_677_610_602;

/** Groups and visible aliases that the key may use; wildcards only when asked for, as LiteLLM since 1.101. */
export function listedModels(exchange: Exchange): ListedModel[] {
  const { snapshot, key, head } = exchange;
  const models: ListedModel[] = [];
  const add = (id: string, group: CompiledGroup): void => {
    if (group.deployments.length === 0 || !mayUseModel(key!, id, group.name)) return;
    models.push({ id, object: 'model', created: CREATED_UNIX_SECONDS, owned_by: group.deployments[0]!.spec.provider });
  };
  for (const group of snapshot.groups.values()) add(group.name, group);
  for (const [alias, target] of Object.entries(snapshot.aliases)) {
    const resolved = resolveModel(snapshot, alias);
    if (!target.hidden && resolved !== null) add(alias, resolved.group);
  }
  for (const [alias, target] of key!.aliases ?? []) {
    const resolved = resolveModel(snapshot, target);
    if (resolved !== null) add(alias, resolved.group);
  }
  if (new URLSearchParams(head.query).get('return_wildcard_routes')?.toLowerCase() === 'true') {
    for (const group of snapshot.wildcards) add(group.name, group);
  }
  return models;
}
