import type { ScalarValue } from './config-node.ts';

// YAML 1.1 as PyYAML's SafeLoader resolves plain scalars, which is narrower than the specification: `y` and `n` are
// strings, `1e-6` (no point) is a string, `012` is octal, `1:30` is sexagesimal. Quoted scalars never come here.
const NULL = /^(?:~|null|Null|NULL|)$/;
const TRUE = /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$/;
const FALSE = /^(?:no|No|NO|false|False|FALSE|off|Off|OFF)$/;
const BINARY = /^[-+]?0b[01_]+$/;
const OCTAL = /^[-+]?0[0-7_]+$/;
const DECIMAL = /^[-+]?(?:0|[1-9][0-9_]*)$/;
const HEXADECIMAL = /^[-+]?0x[0-9a-fA-F_]+$/;
const SEXAGESIMAL = /^[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+$/;
const FLOAT = /^[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?$/;
const POINT_FLOAT = /^\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?$/;
const SEXAGESIMAL_FLOAT = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*$/;
const INFINITY = /^[-+]?\.(?:inf|Inf|INF)$/;
const NOT_A_NUMBER = /^\.(?:nan|NaN|NAN)$/;

/** What a plain scalar means. Dates stay text: `api_version: 2024-02-01` is meant as it is written. */
export function resolvePlainScalar(text: string): ScalarValue {
  if (NULL.test(text)) return null;
  if (TRUE.test(text)) return true;
  if (FALSE.test(text)) return false;
  return resolveNumber(text) ?? text;
}

function resolveNumber(text: string): number | null {
  const sign = text.startsWith('-') ? -1 : 1;
  const digits = text.replace(/^[-+]/, '').replaceAll('_', '');
  if (BINARY.test(text)) return sign * Number.parseInt(digits.slice(2), 2);
  if (HEXADECIMAL.test(text)) return sign * Number.parseInt(digits.slice(2), 16);
  if (OCTAL.test(text)) return sign * Number.parseInt(digits, 8);
  if (DECIMAL.test(text) || FLOAT.test(text) || POINT_FLOAT.test(text)) return sign * Number(digits);
  if (SEXAGESIMAL.test(text) || SEXAGESIMAL_FLOAT.test(text)) return sign * sexagesimal(digits);
  if (INFINITY.test(text)) return sign * Number.POSITIVE_INFINITY;
  return NOT_A_NUMBER.test(text) ? Number.NaN : null;
}

function sexagesimal(digits: string): number {
  return digits.split(':').reduce((total, part) => total * 60 + Number(part), 0);
}
