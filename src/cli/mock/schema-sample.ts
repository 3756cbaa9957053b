/** Deep enough for real tools, and an end for schemas that contain themselves. */
const MAX_DEPTH = 8;

type Schema = Readonly<Record<string, unknown>>;

/** The smallest value that a JSON schema accepts, as far as types, enums, constants and required properties decide. */
export function sampleOfSchema(schema: unknown, depth = 0): unknown {
  if (!isSchema(schema) || depth > MAX_DEPTH) return {};
  if ('const' in schema) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  for (const union of [schema.anyOf, schema.oneOf]) {
    if (Array.isArray(union)) return sampleOfSchema(union[0], depth + 1);
  }
  const type: unknown = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case 'string':
      return 'mock';
    case 'integer':
    case 'number':
      return typeof schema.minimum === 'number' ? schema.minimum : 1;
    case 'boolean':
      return true;
    case 'null':
      return null;
    case 'array':
      return typeof schema.minItems === 'number' && schema.minItems > 0
        ? [sampleOfSchema(schema.items, depth + 1)]
        : [];
    default:
      return sampleOfObject(schema, depth);
  }
}

function sampleOfObject(schema: Schema, depth: number): Record<string, unknown> {
  const properties = isSchema(schema.properties) ? schema.properties : {};
  const required = Array.isArray(schema.required) ? schema.required : Object.keys(properties);
  const sample: Record<string, unknown> = {};
  for (const name of required) {
    if (typeof name === 'string') sample[name] = sampleOfSchema(properties[name], depth + 1);
  }
  return sample;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
