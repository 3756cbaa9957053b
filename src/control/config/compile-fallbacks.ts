import type { Snapshot } from '../../contract/snapshot.ts';
import type { CompileContext } from './compile-deployment.ts';
import { groupOf, isServed, type Names, routerNode, setOwn } from './compile-routing.ts';
import type { WireFamily } from '../../domain/endpoints.ts';
import { type ConfigNode, entriesOf, formatPath, isNull, itemsOf } from './config-node.ts';

export type FallbackField = 'fallbacks' | 'defaultFallbacks' | 'contextWindowFallbacks' | 'contentPolicyFallbacks';

/** What may be named as a fallback: a group, an alias, or one deployment by its id. */
type Targets = Names & {
  readonly ids: ReadonlySet<string>;
  /** What groups and deployments speak, by name and id. */
  readonly families: ReadonlyMap<string, WireFamily>;
};

/** Group → targets, and what `*` stands for. */
interface FallbackTable {
  readonly groups: Record<string, readonly string[]>;
  readonly anyGroup: readonly string[];
}

/** The four kinds of fallbacks. What is unknown is left out with a warning. */
export function compileFallbacks(
  targets: Targets,
  aliases: Snapshot['aliases'],
  context: CompileContext,
): Pick<Snapshot, FallbackField> {
  const reader = new FallbackReader(targets, aliases, context);
  const { groups, anyGroup } = reader.read('fallbacks') ?? { groups: {}, anyGroup: [] };
  const defaults = reader.readDefaults();
  return {
    fallbacks: groups,
    defaultFallbacks: defaults.length > 0 ? defaults : anyGroup,
    contextWindowFallbacks: reader.readKind('context_window_fallbacks'),
    contentPolicyFallbacks: reader.readKind('content_policy_fallbacks'),
  };
}

class FallbackReader {
  readonly #targets: Targets;
  readonly #aliases: Snapshot['aliases'];
  readonly #context: CompileContext;

  constructor(targets: Targets, aliases: Snapshot['aliases'], context: CompileContext) {
    this.#targets = targets;
    this.#aliases = aliases;
    this.#context = context;
  }

  /** Null where nothing stands. */
  read(key: string): FallbackTable | null {
    const { findings } = this.#context;
    const found = routerNode(key, this.#context);
    if (found === null) return null;
    const [node, path] = found;
    const where = formatPath(path);
    const groups: Record<string, string[]> = {};
    const anyGroup: string[] = [];
    if (node.kind === 'scalar' && !isNull(node))
      findings.error(node.position, where, 'must be a list of {group: [groups]}');
    for (const item of node.kind === 'map' ? [node] : itemsOf(node)) {
      if (item.kind !== 'map') findings.error(item.position, where, 'must be a map of a group to groups');
      for (const [group, entry] of entriesOf(item)) {
        const targets = this.#targetsOf(entry.node, formatPath([...path, group]), groupOf(group, this.#aliases));
        if (group === '*') anyGroup.push(...targets);
        else setOwn(groups, groupOf(group, this.#aliases), targets);
      }
    }
    return { groups, anyGroup };
  }

  readDefaults(): readonly string[] {
    const found = routerNode('default_fallbacks', this.#context);
    return found === null ? [] : this.#targetsOf(found[0], formatPath(found[1]));
  }

  /** One map for all groups: `*` is written out as the entry of that name. */
  readKind(key: string): Record<string, readonly string[]> | null {
    const table = this.read(key);
    if (table === null) return null;
    if (table.anyGroup.length > 0) setOwn(table.groups, '*', table.anyGroup);
    return Object.keys(table.groups).length === 0 ? null : table.groups;
  }

  /** @param from the group that falls back, or `*`. */
  #targetsOf(node: ConfigNode, path: string, from = '*'): string[] {
    const targets: string[] = [];
    for (const target of node.kind === 'list' ? node.items : [node]) {
      if (target.kind !== 'scalar') {
        this.#context.findings.error(target.position, path, 'must be the name of a group');
      } else if (!isNull(target) && this.#isKnown(target.text, target, path)) {
        const group = groupOf(target.text, this.#aliases);
        this.#warnOfProtocol(from, group, target, path);
        targets.push(group);
      }
    }
    return targets;
  }

  #warnOfProtocol(from: string, to: string, node: ConfigNode, path: string): void {
    const { families } = this.#targets;
    const [spoken, wanted] = [families.get(to), families.get(from)];
    if (spoken === undefined || wanted === undefined || spoken === wanted) return;
    const why = `${to} speaks the ${spoken} protocol and ${from} the ${wanted} one`;
    this.#context.findings.warn(node.position, path, `${why}: no request falls back to it, for want of a translation`);
  }

  #isKnown(name: string, node: ConfigNode, path: string): boolean {
    const targets = this.#targets;
    if (isServed(name, targets) || Object.hasOwn(this.#aliases, name) || targets.ids.has(name)) return true;
    this.#context.findings.warn(node.position, path, `no model is called ${name}: this fallback is left out`);
    return false;
  }
}
