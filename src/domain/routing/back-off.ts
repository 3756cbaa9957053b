export interface BackOffSettings {
  /** Before the first repeat at the same deployment, ms. */
  readonly initialMs: number;
  readonly maxMs: number;
  /** LiteLLM's `retry_after`: never less than this, ms. */
  readonly floorMs: number;
}

/**
 * How long to wait before a deployment that failed is asked again: twice as long each time, a random half of it taken off
 * so that requests which failed together don't come back together.
 *
 * @param repeat 1 for the first. @param random in [0, 1).
 */
export function backOffMs(repeat: number, settings: BackOffSettings, random: number): number {
  const full = Math.min(settings.maxMs, settings.initialMs * 2 ** Math.min(repeat - 1, 30));
  return Math.max(settings.floorMs, full * (1 - random / 2));
}
