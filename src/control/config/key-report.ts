import { type ConfigNode, entriesOf, isNull, itemsOf, type MapNode, nodeAt } from './config-node.ts';
import type { Findings, Position, WarningKind } from './findings.ts';
import { LITELLM_KEYS, LITELLM_SECTIONS, type LitellmSection } from './litellm-keys.ts';
import { litellmParamsSchema, modelEntrySchema, modelInfoSchema, ROUTING_KEYS } from './litellm-schema.ts';
import { SETTING_LEAVES } from './resolve-settings.ts';
import { isUnsupportedStrategy } from './strategy-names.ts';

export type KeyStatus = 'honoured' | Exclude<WarningKind, 'other'>;

/** What becomes of one key outside `slipstream:`. In `model_list` it stands for that key in all entries. */
export interface KeyReport {
  /** `model_list[].litellm_params.drop_params` */
  readonly path: string;
  readonly position: Position;
  /** How many times it stands there. */
  readonly count: number;
  readonly status: KeyStatus;
  readonly note: string;
}

const SECTION_KEYS = ['litellm_settings', 'general_settings', 'router_settings'] as const;
const TOP_LEVEL = ['model_list', 'include', 'environment_variables', 'slipstream', ...SECTION_KEYS];
/** Router keys may stand in either of these. */
const ROUTER_SECTIONS: readonly LitellmSection[] = ['router_settings', 'litellm_settings'];

/** Every key outside `slipstream:`, in the order of the file, with what becomes of it. */
export function reportKeys(root: MapNode): KeyReport[] {
  const reports = new Map<string, KeyReport>();
  const count = (path: string, position: Position, { status, note }: KeyVerdict): void => {
    const known = reports.get(path);
    const isWorse = known === undefined || (known.status === 'honoured' && status !== 'honoured');
    const base = isWorse ? { path, position, status, note } : known;
    reports.set(path, { ...base, count: (known?.count ?? 0) + 1 });
  };
  const add = (section: LitellmSection, prefix: string, node: ConfigNode | null): void => {
    for (const [key, { keyPosition, node: value }] of entriesOf(node)) {
      count(prefix + key, keyPosition, verdictOf(section, key, value));
    }
  };
  add('', '', root);
  for (const item of itemsOf(nodeAt(root, ['model_list']))) {
    for (const [key, { keyPosition }] of entriesOf(item)) {
      if (key in modelEntrySchema.shape) continue;
      count(`model_list[].${key}`, keyPosition, { status: 'unknown', note: hint('', key) });
    }
    add('litellm_params', 'model_list[].litellm_params.', nodeAt(item, ['litellm_params']));
    add('model_info', 'model_list[].model_info.', nodeAt(item, ['model_info']));
  }
  for (const section of SECTION_KEYS) add(section, `${section}.`, nodeAt(root, [section]));
  return [...reports.values()];
}

/** One warning for each key that is not honoured. */
export function warnUnhonoured(reports: readonly KeyReport[], findings: Findings): void {
  for (const { status, path, position, count, note } of reports) {
    if (status === 'honoured') continue;
    const times = count > 1 ? ` (${count} times)` : '';
    findings.warn(position, path, `${status}${times}${note === '' ? '' : `: ${note}`}`, status);
  }
}

type KeyVerdict = Pick<KeyReport, 'status' | 'note'>;

function verdictOf(section: LitellmSection, key: string, value: ConfigNode): KeyVerdict {
  if (key === 'routing_strategy' && value.kind === 'scalar' && isUnsupportedStrategy(value.text)) {
    return { status: 'unsupported', note: `${value.text} is not in this version: simple-shuffle is used` };
  }
  if (isHonoured(section, key)) return { status: 'honoured', note: '' };
  const sections = ROUTER_SECTIONS.includes(section) ? ROUTER_SECTIONS : [section];
  for (const name of [section, ...sections]) {
    const known = LITELLM_KEYS[name].get(key);
    if (known === undefined) continue;
    return known.status === 'unsupported' && isOff(value) ? { status: 'ignored', note: 'it is off' } : known;
  }
  // Any key of one's own may stand in model_info.
  return section === 'model_info' ? { status: 'honoured', note: '' } : { status: 'unknown', note: hint(section, key) };
}

function isHonoured(section: LitellmSection, key: string): boolean {
  switch (section) {
    case '':
      return TOP_LEVEL.includes(key);
    case 'litellm_params':
      return key in litellmParamsSchema.shape;
    case 'model_info':
      return key in modelInfoSchema.shape;
    case 'litellm_settings':
    case 'router_settings':
    case 'general_settings':
      return (
        (section !== 'general_settings' && key in ROUTING_KEYS) ||
        SETTING_LEAVES.some((leaf) => isOrIn(leaf.meta.litellm ?? [], `${section}.${key}`))
      );
    default:
      return section satisfies never;
  }
}

/** One of `paths`, or a map that holds one of them. */
function isOrIn(paths: readonly string[], path: string): boolean {
  return paths.some((known) => known === path || known.startsWith(`${path}.`));
}

/** A key that stands in the wrong place is the commonest slip. */
function hint(section: LitellmSection, key: string): string {
  const homes = LITELLM_SECTIONS.filter((other) => other !== section && other !== '' && isHonoured(other, key));
  const home =
    homes[0] ?? (section !== 'litellm_params' && LITELLM_KEYS.litellm_params.has(key) ? 'litellm_params' : null);
  return home === null ? 'no such key is known' : `it belongs into ${home}`;
}

function isOff(node: ConfigNode): boolean {
  switch (node.kind) {
    case 'scalar':
      return isNull(node) || node.value === false || node.value === 0 || node.value === '';
    case 'list':
      return node.items.length === 0;
    case 'map':
      return node.entries.size === 0;
    default:
      return node satisfies never;
  }
}
