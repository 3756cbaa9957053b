import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type ConfigNode, entriesOf, isNull, type ListNode, type MapEntry, type MapNode } from './config-node.ts';
import type { Findings, Position } from './findings.ts';
import { readYaml } from './yaml-reader.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface SourceFile {
  /** Absolute. */
  readonly path: string;
  /** Changes when the file does; taken before it was read. */
  readonly stamp: string;
}

/** The configuration as it stands in its files, references to the environment resolved. */
export interface ConfigSource {
  readonly root: MapNode;
  /** All files read, the main one first; also those that could not be. */
  readonly files: readonly SourceFile[];
  /** The process's environment with the file's `environment_variables` over it. */
  readonly environment: Environment;
  /** What was fetched from addresses that the configuration names; absent where nothing is fetched. */
  readonly downloads?: ReadonlyMap<string, unknown>;
}

const ENV_PREFIX = 'os.environ/';

/** Reads the file and what it includes. With errors in `findings` the result is what could be read. */
export function loadConfigSource(path: string, environment: Environment, findings: Findings): ConfigSource {
  const files: SourceFile[] = [];
  const raw = loadFile(resolve(path), { files, findings, includedAt: null });
  const overlaid = overlayEnvironment(raw, environment, findings);
  return { root: resolveMap(raw, overlaid, findings), files, environment: overlaid };
}

interface Loading {
  readonly files: SourceFile[];
  readonly findings: Findings;
  readonly includedAt: Position | null;
}

function loadFile(path: string, loading: Loading): MapNode {
  const empty: MapNode = { kind: 'map', position: { file: path, line: 1, column: 1 }, entries: new Map() };
  loading.files.push({ path, stamp: stampOf(path) });
  const text = readText(path, loading);
  if (text === null) return empty;
  const root = readYaml(text, path, loading.findings) ?? empty;
  if (root.kind !== 'map') {
    loading.findings.error(root.position, '', 'the file must hold a map of sections, such as model_list');
    return empty;
  }
  return mergeIncludes(root, path, loading);
}

function readText(path: string, loading: Loading): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    loading.findings.error(loading.includedAt, '', `cannot read ${path} (${code})`);
    return null;
  }
}

/** Identifies what lies at `path` just now; `absent` when nothing can be seen there. */
export function stampOf(path: string): string {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? 'absent' : `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}

function mergeIncludes(root: MapNode, path: string, loading: Loading): MapNode {
  const include = root.entries.get('include')?.node;
  if (include === undefined || isNull(include)) return root;
  let merged = root;
  for (const item of include.kind === 'list' ? include.items : [include]) {
    if (item.kind !== 'scalar' || typeof item.value !== 'string') {
      loading.findings.error(item.position, 'include', 'must be a list of file names');
      continue;
    }
    const included = resolve(dirname(path), item.value);
    if (loading.files.some((file) => file.path === included)) {
      loading.findings.error(item.position, 'include', `${item.value} is included twice, or includes itself`);
      continue;
    }
    merged = mergeMaps(merged, loadFile(included, { ...loading, includedAt: item.position }));
  }
  return merged;
}

/** As LiteLLM does: lists grow, other values of the included file replace; but maps are merged key by key. */
function mergeMaps(base: MapNode, over: MapNode): MapNode {
  const entries = new Map(base.entries);
  for (const [key, entry] of over.entries) {
    const existing = entries.get(key)?.node;
    entries.set(key, existing === undefined ? entry : { ...entry, node: mergeNodes(existing, entry.node) });
  }
  return { ...base, entries };
}

function mergeNodes(base: ConfigNode, over: ConfigNode): ConfigNode {
  if (isNull(over)) return base;
  if (base.kind === 'list' && over.kind === 'list') {
    return { kind: 'list', position: base.position, items: [...base.items, ...over.items] } satisfies ListNode;
  }
  return base.kind === 'map' && over.kind === 'map' ? mergeMaps(base, over) : over;
}

/** `environment_variables` are set into the environment, as LiteLLM sets them: over what is there. */
function overlayEnvironment(root: MapNode, environment: Environment, findings: Findings): Environment {
  const section = root.entries.get('environment_variables')?.node;
  if (section === undefined || isNull(section)) return environment;
  if (section.kind !== 'map') {
    findings.error(section.position, 'environment_variables', 'must be a map of names to values');
    return environment;
  }
  const overlaid: Record<string, string | undefined> = { ...environment };
  for (const [name, { node }] of entriesOf(section)) {
    const resolved = resolveNode(node, environment, findings);
    if (resolved.kind !== 'scalar') {
      findings.error(node.position, `environment_variables.${name}`, 'must be a single value');
    } else if (resolved.value !== null) {
      overlaid[name] = resolved.text;
    }
  }
  return overlaid;
}

function resolveMap(map: MapNode, environment: Environment, findings: Findings): MapNode {
  const entries = new Map<string, MapEntry>();
  for (const [key, entry] of map.entries) {
    // Its references were resolved, and reported, when the environment was laid over.
    const isSettled = key === 'environment_variables';
    entries.set(key, isSettled ? entry : { ...entry, node: resolveNode(entry.node, environment, findings) });
  }
  return { ...map, entries };
}

function resolveNode(node: ConfigNode, environment: Environment, findings: Findings): ConfigNode {
  switch (node.kind) {
    case 'scalar': {
      if (typeof node.value !== 'string' || !node.value.startsWith(ENV_PREFIX)) return node;
      const envName = node.value.slice(ENV_PREFIX.length);
      const value = environment[envName];
      if (value === undefined) findings.warn(node.position, '', `the environment variable ${envName} is not set`);
      return { ...node, value: value ?? null, text: value ?? '', envName };
    }
    case 'list':
      return { ...node, items: node.items.map((item) => resolveNode(item, environment, findings)) };
    case 'map': {
      const entries = new Map<string, MapEntry>();
      for (const [key, entry] of node.entries) {
        entries.set(key, { ...entry, node: resolveNode(entry.node, environment, findings) });
      }
      return { ...node, entries };
    }
    default:
      return node satisfies never;
  }
}
