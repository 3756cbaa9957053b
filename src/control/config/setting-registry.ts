import { z } from 'zod';

/** What is said of a setting besides its type: for docs/config.md, `slipstream check`, and where to look for it. */
export interface SettingMeta {
  readonly description: string;
  readonly unit?: string;
  /** As it would be written in the file; null = none. */
  readonly default: string | null;
  /** Instead of `default` in the documentation, where that depends on the machine. */
  readonly defaultNote?: string;
  /** Dotted path of the setting that gives the value where nothing else does. */
  readonly follows?: string;
  /** Variables besides `SLIPSTREAM_<PATH>`, which wins over them. */
  readonly env?: readonly string[];
  /** Dotted paths in LiteLLM's sections, the first found wins. */
  readonly litellm?: readonly string[];
  readonly isSecret?: boolean;
}

const registry = z.registry<SettingMeta>();

/** Marks `schema` as one setting. */
export function setting<T extends z.ZodType>(schema: T, meta: SettingMeta): T {
  registry.add(schema, meta);
  return schema;
}

export function metaOf(schema: z.core.$ZodType): SettingMeta | undefined {
  return registry.get(schema);
}

export interface SettingLeaf {
  readonly path: readonly string[];
  readonly schema: z.ZodType;
  readonly meta: SettingMeta;
}

/** All single settings of an object schema, nested ones included, in the order written. */
export function settingLeaves(schema: z.ZodObject, prefix: readonly string[] = []): SettingLeaf[] {
  return Object.entries(schema.shape).flatMap(([key, child]) => {
    const path = [...prefix, key];
    if (child instanceof z.ZodObject) return settingLeaves(child, path);
    const meta = metaOf(child);
    return meta === undefined ? [] : [{ path, schema: child as z.ZodType, meta }];
  });
}
