/** A price as an integer of pico-dollars (10⁻¹² USD), and whether that is exactly what was written. */
export interface ParsedPrice {
  readonly picoUsd: number;
  readonly isExact: boolean;
}

const DECIMAL = /^\+?(\d*)\.?(\d*)(?:e([-+]?\d{1,3}))?$/i;
const PICO_DIGITS = 12;
/** A dollar per token; no price is near it, and ten million such tokens still count exactly. */
const MAX_PICO_USD = 10 ** 12;

/**
 * Dollars written as decimal text (`3e-06`, `0.0000025`) in pico-dollars, without a detour through binary fractions.
 * What is finer is rounded half up.
 *
 * @returns null when it is no price: not a decimal number, negative, or over a dollar per token.
 */
export function parsePrice(text: string): ParsedPrice | null {
  const match = DECIMAL.exec(text.trim().replaceAll('_', ''));
  if (match === null) return null;
  const [, whole = '', fraction = '', exponent = '0'] = match;
  const digits = whole + fraction;
  if (digits === '') return null;
  // The value is digits × 10^shift pico-dollars.
  const shift = PICO_DIGITS + Number(exponent) - fraction.length;
  const significant = digits.replace(/^0+/, '');
  if (significant.length + shift > PICO_DIGITS + 1) return null;
  if (shift >= 0) return checked(BigInt(significant + '0'.repeat(shift)), true);
  const kept = significant.slice(0, Math.max(0, significant.length + shift));
  const dropped = significant.slice(kept.length).padStart(-shift, '0');
  const rounded = BigInt(kept === '' ? '0' : kept) + (dropped.charAt(0) >= '5' ? 1n : 0n);
  return checked(rounded, !/[1-9]/.test(dropped));
}

function checked(picoUsd: bigint, isExact: boolean): ParsedPrice | null {
  return picoUsd > BigInt(MAX_PICO_USD) ? null : { picoUsd: Number(picoUsd), isExact };
}
