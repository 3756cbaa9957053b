/** What may be done before commit when an attempt failed. */
export type AfterFailure =
  /** The failure is the client's, or final: it is the answer. */
  | 'relay'
  /** Another deployment of the group, never this one again; then fallbacks. */
  | 'another'
  /** Another deployment if there is one, else this one again; then fallbacks. */
  | 'again';

/** Rule for a provider's status (LiteLLM's retryable set; 401, 403 and 404 are that deployment's own fault). */
export function afterStatus(status: number): AfterFailure {
  if (status === 408 || status === 409 || status === 429 || status >= 500) return 'again';
  if (status === 401 || status === 403 || status === 404) return 'another';
  return 'relay';
}
