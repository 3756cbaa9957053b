const NANO_DIGITS = 9;
const NANO_PER_USD = 10 ** NANO_DIGITS;

/** Nano-dollars, an integer ≥ 0, as dollars with nine decimals: `0.000028500`. No exponent, nothing rounded. */
export function dollarText(nanoUsd: number): string {
  const fraction = nanoUsd % NANO_PER_USD;
  const whole = (nanoUsd - fraction) / NANO_PER_USD;
  return `${whole}.${String(fraction).padStart(NANO_DIGITS, '0')}`;
}
