import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a field holds: a JSON type, `string[]`, the name of a shape, a list of them, or several with `|` between. */
type FieldType = string;
type Shape = FieldType | Readonly<Record<string, FieldType>>;

/** The fields of each reply, written down from LiteLLM's API, not from our schemas. */
const SHAPES = JSON.parse(readFileSync(join(import.meta.dirname, 'fields.json'), 'utf8')) as Readonly<
  Record<string, Shape>
>;

/** What `value` lacks to be a reply of this shape: each missing field and each of another type, by its path. */
export function missingFields(shapeName: string, value: unknown): string[] {
  const faults: string[] = [];
  checkType(shapeName, value, shapeName, faults);
  return faults;
}

function checkType(type: FieldType, value: unknown, path: string, faults: string[]): void {
  const alternatives = type.split('|');
  if (alternatives.length > 1) {
    if (!alternatives.some((alternative) => isOf(alternative, value))) faults.push(`${path} is no ${type}`);
    return;
  }
  if (type.endsWith('[]')) {
    if (!Array.isArray(value)) faults.push(`${path} is no list`);
    else for (const [index, item] of value.entries()) checkType(type.slice(0, -2), item, `${path}[${index}]`, faults);
    return;
  }
  const shape = Object.hasOwn(SHAPES, type) ? SHAPES[type] : undefined;
  if (shape === undefined) {
    if (!isOf(type, value)) faults.push(`${path} is no ${type}`);
    return;
  }
  if (typeof shape === 'string') {
    checkType(shape, value, path, faults);
    return;
  }
  if (!isOf('object', value)) {
    faults.push(`${path} is no object`);
    return;
  }
  for (const [field, fieldType] of Object.entries(shape)) {
    if (Object.hasOwn(value as object, field)) {
      checkType(fieldType, (value as Record<string, unknown>)[field], `${path}.${field}`, faults);
    } else faults.push(`${path}.${field} is missing`);
  }
}

function isOf(type: string, value: unknown): boolean {
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type;
}
