import type { Position } from './findings.ts';

/** What a plain or quoted YAML scalar means. */
export type ScalarValue = string | number | boolean | null;

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly position: Position;
  readonly value: ScalarValue;
  /** As written, before it was read as a number, a boolean or null. */
  readonly text: string;
  /** The variable it came from, where the file says `os.environ/NAME`. */
  readonly envName?: string;
}

export interface ListNode {
  readonly kind: 'list';
  readonly position: Position;
  readonly items: readonly ConfigNode[];
}

export interface MapNode {
  readonly kind: 'map';
  readonly position: Position;
  readonly entries: ReadonlyMap<string, MapEntry>;
}

export interface MapEntry {
  readonly keyPosition: Position;
  readonly node: ConfigNode;
}

/** One value of a configuration file, with its place. */
export type ConfigNode = ScalarNode | ListNode | MapNode;

/**
 * The data for a schema: each scalar as the text that was written, so that a name like `4.10`, a key like `0123` or a
 * price like `3e-06` reaches its schema unharmed, and `null` left out.
 */
export function toTexts(node: ConfigNode): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value === null ? undefined : node.text;
    case 'list':
      return node.items.filter((item) => !isNull(item)).map(toTexts);
    case 'map':
      return Object.fromEntries(entriesOf(node).map(([key, entry]) => [key, toTexts(entry.node)]));
    default:
      return node satisfies never;
  }
}

/** Plain data to show: values that came from the environment stay references, since they may be secret. */
export function toPublic(node: ConfigNode): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.envName === undefined ? node.value : `os.environ/${node.envName}`;
    case 'list':
      return node.items.map(toPublic);
    case 'map':
      return Object.fromEntries(Array.from(node.entries, ([key, entry]) => [key, toPublic(entry.node)]));
    default:
      return node satisfies never;
  }
}

export function isNull(node: ConfigNode): boolean {
  return node.kind === 'scalar' && node.value === null;
}

/** The value at `path` (keys and indexes), or null where there is none or it says `null`. */
export function nodeAt(root: ConfigNode | null, path: readonly (string | number)[]): ConfigNode | null {
  let node: ConfigNode | null = root;
  for (const step of path) {
    if (node === null || node.kind === 'scalar') return null;
    node = (node.kind === 'map' ? node.entries.get(String(step))?.node : node.items[Number(step)]) ?? null;
  }
  return node !== null && isNull(node) ? null : node;
}

/** Where `path` stands, or the nearest part of it that exists: for errors about what is missing or wrong there. */
export function positionAt(root: ConfigNode | null, path: readonly (string | number)[]): Position | null {
  for (let length = path.length; length >= 0; length--) {
    const last = path[length - 1];
    const parent = length === 0 ? root : nodeAt(root, path.slice(0, length - 1));
    if (length === 0) return parent?.position ?? null;
    if (parent?.kind === 'map') {
      const entry = parent.entries.get(String(last));
      if (entry !== undefined) return entry.keyPosition;
    } else if (parent?.kind === 'list') {
      const item = parent.items[Number(last)];
      if (item !== undefined) return item.position;
    }
  }
  return null;
}

/** `model_list[0].litellm_params.timeout` */
export function formatPath(path: readonly (string | number)[]): string {
  let text = '';
  for (const step of path) text += typeof step === 'number' ? `[${step}]` : text === '' ? step : `.${step}`;
  return text;
}

/** The entries of a map that are not `null`; none for anything else. */
export function entriesOf(node: ConfigNode | null): readonly (readonly [key: string, entry: MapEntry])[] {
  if (node?.kind !== 'map') return [];
  return Array.from(node.entries).filter(([, entry]) => !isNull(entry.node));
}

export function itemsOf(node: ConfigNode | null): readonly ConfigNode[] {
  return node?.kind === 'list' ? node.items : [];
}
