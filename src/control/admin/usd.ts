const DECIMALS = 9;

/** The nearest whole number of nano-dollars. */
export function toNano(usd: number): bigint {
  return BigInt(usd.toFixed(DECIMALS).replace('.', ''));
}

/** For show: the nearest binary fraction of the exact decimal. */
export function toUsd(nano: bigint): number {
  return Number(`${nano}e-${DECIMALS}`);
}

export function toUsdOrNull(nano: bigint | null): number | null {
  return nano === null ? null : toUsd(nano);
}
