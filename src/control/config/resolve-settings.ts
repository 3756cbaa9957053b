import { type ConfigNode, entriesOf, formatPath, nodeAt, positionAt, toTexts } from './config-node.ts';
import type { ConfigSource } from './config-source.ts';
import type { Findings, Position } from './findings.ts';
import { type SettingLeaf, settingLeaves } from './setting-registry.ts';
import { LIST_SECTIONS, type Settings, slipstreamSchema } from './settings-schema.ts';
import { resolvePlainScalar } from './yaml-scalars.ts';

/** Where a setting got its value. */
export interface SettingOrigin {
  readonly source: 'flag' | 'environment' | 'file' | 'default';
  /** The variable, or the dotted path in the file; empty for flags and defaults. */
  readonly name: string;
  readonly position: Position | null;
}

export interface ResolvedSetting {
  readonly path: string;
  readonly origin: SettingOrigin;
  /** As written, and what a number means where that is not plain; for `slipstream check`. Null: no value, or a secret. */
  readonly shown: string | null;
  readonly isSecret: boolean;
}

export interface ResolvedSettings {
  readonly values: Settings;
  readonly list: readonly ResolvedSetting[];
}

/** Values given on the command line, by dotted path; they win over everything. */
export type FlagValues = Readonly<Record<string, string | null | undefined>>;

interface Candidate {
  readonly input: unknown;
  readonly origin: SettingOrigin;
}

export const SETTING_LEAVES: readonly SettingLeaf[] = settingLeaves(slipstreamSchema);

/** `timeouts.client_head` → `SLIPSTREAM_TIMEOUTS_CLIENT_HEAD` */
export function environmentName(path: readonly string[]): string {
  return `SLIPSTREAM_${path.join('_').toUpperCase()}`;
}

/** Every single setting: flag, environment, `slipstream:`, LiteLLM's sections, default. Errors go to `findings`. */
export function resolveSettings(source: ConfigSource, flags: FlagValues, findings: Findings): ResolvedSettings {
  reportUnknown(source, findings);
  const values: Record<string, unknown> = {};
  const list: ResolvedSetting[] = [];
  for (const leaf of SETTING_LEAVES) {
    const candidate = findCandidate(leaf, source, flags);
    const path = formatPath(leaf.path);
    const parsed =
      candidate.input === null ? { success: true as const, data: null } : leaf.schema.safeParse(candidate.input);
    if (!parsed.success) {
      const { name, position } = candidate.origin;
      findings.error(position, name === '' ? path : name, parsed.error.issues[0]?.message ?? 'is not valid');
    }
    put(values, leaf.path, parsed.success ? parsed.data : null);
    const isSecret = leaf.meta.isSecret === true;
    // What is wrong is not shown either: it may be a secret that slipped into the wrong line.
    const isShown = parsed.success && !isSecret && typeof candidate.input === 'string';
    list.push({
      path,
      origin: candidate.origin,
      shown: isShown ? shownText(candidate.input, parsed.data) : null,
      isSecret,
    });
  }
  return { values: values as unknown as Settings, list };
}

/** A number with what it is where YAML reads it differently from people: 0600 is octal, 1:30 is ninety. */
function shownText(text: string, data: unknown): string {
  const value = typeof data === 'number' ? resolvePlainScalar(text) : null;
  return typeof value === 'number' && value !== Number(text) ? `${text} (${value})` : text;
}

function findCandidate(leaf: SettingLeaf, source: ConfigSource, flags: FlagValues): Candidate {
  const flag = flags[formatPath(leaf.path)];
  if (flag !== undefined && flag !== null) return candidateOf(flag, 'flag', '', null);
  for (const name of [environmentName(leaf.path), ...(leaf.meta.env ?? [])]) {
    const value = source.environment[name];
    if (value !== undefined && value !== '') return candidateOf(value, 'environment', name, null);
  }
  for (const path of [['slipstream', ...leaf.path], ...(leaf.meta.litellm ?? []).map((name) => name.split('.'))]) {
    const node = nodeAt(source.root, path);
    if (node !== null) return candidateOf(toTexts(node), 'file', formatPath(path), positionAt(source.root, path));
  }
  const followed = SETTING_LEAVES.find((other) => formatPath(other.path) === leaf.meta.follows);
  if (followed !== undefined) {
    const candidate = findCandidate(followed, source, flags);
    if (candidate.origin.source !== 'default') return candidate;
  }
  return candidateOf(leaf.meta.default, 'default', '', null);
}

function candidateOf(
  input: unknown,
  source: SettingOrigin['source'],
  name: string,
  position: Position | null,
): Candidate {
  return { input, origin: { source, name, position } };
}

/** In our own section an unknown key is an error: it is a slip of the pen, and there is nobody to be compatible with. */
function reportUnknown(source: ConfigSource, findings: Findings): void {
  const section = nodeAt(source.root, ['slipstream']);
  if (section === null) return;
  if (section.kind !== 'map') {
    findings.error(section.position, 'slipstream', 'must be a map');
    return;
  }
  checkKeys(section, [], findings);
}

function checkKeys(node: ConfigNode, prefix: readonly string[], findings: Findings): void {
  const depth = prefix.length;
  const leaves = SETTING_LEAVES.filter((leaf) => prefix.every((step, index) => leaf.path[index] === step));
  for (const [key, entry] of entriesOf(node)) {
    const path = formatPath(['slipstream', ...prefix, key]);
    const isList = depth === 0 && LIST_SECTIONS.some((name) => name === key);
    const matching = leaves.filter((leaf) => leaf.path[depth] === key);
    if (!isList && matching.length === 0) {
      const known = [...new Set(leaves.map((leaf) => leaf.path[depth] ?? '')), ...(depth === 0 ? LIST_SECTIONS : [])];
      findings.error(entry.keyPosition, path, `there is no such setting${suggestion(key, known)}`);
    } else if (matching.some((leaf) => leaf.path.length > depth + 1)) {
      if (entry.node.kind === 'map') checkKeys(entry.node, [...prefix, key], findings);
      else findings.error(entry.node.position, path, 'must be a map');
    }
  }
}

function suggestion(key: string, known: readonly string[]): string {
  const best = known
    .map((name) => ({ name, distance: editDistance(key, name) }))
    .sort((a, b) => a.distance - b.distance)[0];
  return best !== undefined && best.distance <= Math.max(1, key.length / 4) ? `; did you mean ${best.name}?` : '';
}

/** Levenshtein. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function put(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [first = '', ...rest] = path;
  if (rest.length === 0) {
    target[first] = value;
    return;
  }
  const child = (target[first] ??= {}) as Record<string, unknown>;
  put(child, rest, value);
}
