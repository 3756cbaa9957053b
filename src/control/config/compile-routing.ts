import { createHash } from 'node:crypto';
import type { DeploymentSpec, ModelGroupSpec, Snapshot } from '../../contract/snapshot.ts';
import { matchModelPattern } from '../../domain/routing/model-pattern.ts';
import type { CompileContext, DeploymentDraft } from './compile-deployment.ts';
import { compileGroupLimits } from './compile-limits.ts';
import { type ConfigNode, entriesOf, formatPath, nodeAt, positionAt } from './config-node.ts';

/** Deployments that state no order come after all that do, as LiteLLM has it. */
const LAST_ORDER = 2 ** 31 - 1;
const ID_DIGITS = 32;

/** Drafts made deployments: ids, and weights and orders as their group has them. */
export function finishDeployments(drafts: readonly DeploymentDraft[], context: CompileContext): DeploymentSpec[] {
  const ids = assignIds(drafts, context);
  const groups = Map.groupBy(drafts, (draft) => draft.spec.groupName);
  return drafts.map((draft, index) => {
    const group = groups.get(draft.spec.groupName) ?? [];
    return { ...draft.spec, id: ids[index] ?? '', weight: weightOf(draft, group), order: draft.order ?? LAST_ORDER };
  });
}

function assignIds(drafts: readonly DeploymentDraft[], context: CompileContext): string[] {
  const given = new Set<string>();
  for (const { givenId, path } of drafts) {
    if (givenId !== null && given.has(givenId)) {
      const full = [...path, 'model_info', 'id'];
      const position = positionAt(context.source.root, full);
      context.findings.error(position, formatPath(full), 'is the id of two deployments');
    }
    if (givenId !== null) given.add(givenId);
  }
  const used = new Set(given);
  return drafts.map((draft) => {
    if (draft.givenId !== null) return draft.givenId;
    const hash = createHash('sha256').update(JSON.stringify(draft.identity)).digest('hex').slice(0, ID_DIGITS);
    let id = hash;
    for (let count = 2; used.has(id); count++) id = `${hash}-${count}`;
    used.add(id);
    return id;
  });
}

/** `weight`, else `rpm`, else `tpm`: whichever some member of the group has first, so that like is compared with like. */
function weightOf(draft: DeploymentDraft, group: readonly DeploymentDraft[]): number {
  for (const read of [
    (d: DeploymentDraft) => d.weight,
    (d: DeploymentDraft) => d.spec.rpm,
    (d: DeploymentDraft) => d.spec.tpm,
  ]) {
    const stated = group.map(read).filter((value) => value !== null);
    // A member that says nothing gets an average share, not none.
    if (stated.length > 0) return read(draft) ?? stated.reduce((sum, value) => sum + value, 0) / stated.length;
  }
  return 1;
}

/** Groups by name in the order of the file, and those with `*` from the most specific on. */
export function compileGroups(
  deployments: readonly DeploymentSpec[],
  context: CompileContext,
): Pick<Snapshot, 'groups' | 'wildcards'> {
  const unlimited = Array.from(
    Map.groupBy(deployments, (deployment) => deployment.groupName),
    ([name, members]) => {
      if (new Set(members.map((member) => member.family)).size > 1) {
        const message = `the model group ${name} mixes protocols: requests reach only the deployments of their own`;
        context.findings.warn(positionAt(context.source.root, ['model_list']), 'model_list', message);
      }
      return { name, deploymentIds: members.map((member) => member.id), limits: null } satisfies ModelGroupSpec;
    },
  );
  const all = compileGroupLimits(unlimited, context);
  return {
    groups: all.filter((group) => !group.name.includes('*')),
    wildcards: all
      .filter((group) => group.name.includes('*'))
      .sort((a, b) => literalLength(b.name) - literalLength(a.name) || a.name.length - b.name.length),
  };
}

function literalLength(pattern: string): number {
  return pattern.replaceAll('*', '').length;
}

export type Names = Pick<Snapshot, 'groups' | 'wildcards'>;

/** Does a group or a pattern of groups have this name. */
export function isServed(name: string, names: Names): boolean {
  return (
    names.groups.some((group) => group.name === name) ||
    names.wildcards.some((group) => matchModelPattern(group.name, name) !== null)
  );
}

/** `model_group_alias`, from `router_settings` over `litellm_settings`. */
export function compileAliases(names: Names, context: CompileContext): Snapshot['aliases'] {
  const found = routerNode('model_group_alias', context);
  if (found === null) return {};
  const [node, path] = found;
  if (node.kind !== 'map') {
    context.findings.error(node.position, formatPath(path), 'must be a map of aliases to groups');
    return {};
  }
  const aliases: Record<string, { group: string; hidden: boolean }> = {};
  for (const [alias, entry] of entriesOf(node)) {
    const target = entry.node.kind === 'map' ? nodeAt(entry.node, ['model']) : entry.node;
    const where = formatPath([...path, alias]);
    if (target?.kind !== 'scalar') {
      context.findings.error(entry.keyPosition, where, 'must be a group, or a map with model and hidden');
    } else if (isServed(target.text, names)) {
      const hidden = nodeAt(entry.node, ['hidden']);
      setOwn(aliases, alias, { group: target.text, hidden: hidden?.kind === 'scalar' && hidden.value === true });
    } else {
      context.findings.warn(entry.keyPosition, where, `no model is called ${target.text}: this alias is left out`);
    }
  }
  return aliases;
}

/** What an alias stands for; any other name itself. */
export function groupOf(name: string, aliases: Snapshot['aliases']): string {
  return Object.hasOwn(aliases, name) ? (aliases[name]?.group ?? name) : name;
}

/** Names come from a file: `__proto__` must become a key like any other. */
export function setOwn<T>(target: Record<string, T>, key: string, value: T): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

/** `key` in `router_settings`, else in `litellm_settings`, with its path. */
export function routerNode(key: string, context: CompileContext): readonly [ConfigNode, readonly string[]] | null {
  for (const section of ['router_settings', 'litellm_settings']) {
    const node = nodeAt(context.source.root, [section, key]);
    if (node !== null) return [node, [section, key]];
  }
  return null;
}
