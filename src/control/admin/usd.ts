const DECIMALS = 9;
const NANO_PER_USD = 1e9;

/** The nearest whole number of nano-dollars. */
export function toNano(usd: number): bigint {
  return BigInt(usd.toFixed(DECIMALS).replace('.', ''));
}

/** For show: the nearest binary fraction of the exact decimal. @param nano a number if it is a safe integer. */
export function toUsd(nano: bigint | number): number {
  // The quotient of two exact numbers is the nearest one too, and much faster.
  if (typeof nano === 'number') return nano / NANO_PER_USD;
  return Number(`${nano}e-${DECIMALS}`);
}

export function toUsdOrNull(nano: bigint | null): number | null {
  return nano === null ? null : toUsd(nano);
}
