/** A router key may stand in either section; `router_settings` wins. */
export function router(...keys: readonly string[]): readonly string[] {
  return [...keys.map((key) => `router_settings.${key}`), ...keys.map((key) => `litellm_settings.${key}`)];
}
