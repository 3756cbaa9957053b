const DEFAULT_SECONDS = 1;

/** How long one fuzz test may run: 1 s as part of `npm test`; `FUZZ_SECONDS=600 npm test -- test/fuzz/…` for a night. */
export const FUZZ_MILLISECONDS: number = Number(process.env['FUZZ_SECONDS'] ?? DEFAULT_SECONDS) * 1000;
