/** A count per class of errors, as LiteLLM's `retry_policy` and `allowed_fails_policy` have it; null = not said. */
export interface ErrorClassCounts {
  readonly badRequest: number | null;
  readonly authentication: number | null;
  readonly timeout: number | null;
  readonly rateLimit: number | null;
  readonly contentPolicy: number | null;
  readonly internal: number | null;
}

export const NO_COUNTS: ErrorClassCounts = Object.freeze({
  badRequest: null,
  authentication: null,
  timeout: null,
  rateLimit: null,
  contentPolicy: null,
  internal: null,
});

/** What `first` says, and where it says nothing, `second`. */
export function mergeCounts(first: ErrorClassCounts, second: ErrorClassCounts): ErrorClassCounts {
  return Object.freeze({
    badRequest: first.badRequest ?? second.badRequest,
    authentication: first.authentication ?? second.authentication,
    timeout: first.timeout ?? second.timeout,
    rateLimit: first.rateLimit ?? second.rateLimit,
    contentPolicy: first.contentPolicy ?? second.contentPolicy,
    internal: first.internal ?? second.internal,
  });
}
