import type { ErrorClassCounts } from './error-class-counts.ts';

/** What a failed attempt was, and with it whose fault. */
export type FailureClass =
  /** 400, 413, 422 and kin: the request would fail anywhere. */
  | 'client'
  /** The prompt is longer than the model takes; another model may take it. */
  | 'context_window'
  /** The provider's filter refused the content; another provider may not. */
  | 'content_policy'
  /** 401, 403: the gateway's credential for this deployment. */
  | 'credential'
  /** 404: the deployment names a model that is not there. */
  | 'not_found'
  /** 409: worth a retry, and nobody's fault. */
  | 'conflict'
  | 'timeout'
  | 'rate_limit'
  /** 5xx, garbage, a stream that began with an error. */
  | 'server'
  /** Refused, unreachable, reset, closed too early. */
  | 'connection';

/** What may be done before commit when an attempt failed. */
export type AfterFailure =
  /** The failure is the client's, or final: it is the answer. */
  | 'relay'
  /** Another deployment of the group, never this one again; then fallbacks. */
  | 'another'
  /** Another deployment if there is one, else this one again; then fallbacks. */
  | 'again';

/** Class of a provider's status, by the status alone. */
export function classOfStatus(status: number): FailureClass {
  if (status >= 500) return 'server';
  switch (status) {
    case 401:
    case 403:
      return 'credential';
    case 404:
      return 'not_found';
    case 408:
      return 'timeout';
    case 409:
      return 'conflict';
    case 429:
      return 'rate_limit';
    default:
      return 'client';
  }
}

/** LiteLLM's retryable set; 401, 403 and 404 are that deployment's own fault. */
export function afterFailure(failure: FailureClass): AfterFailure {
  switch (failure) {
    case 'client':
    case 'context_window':
    case 'content_policy':
      return 'relay';
    case 'credential':
    case 'not_found':
      return 'another';
    case 'conflict':
    case 'timeout':
    case 'rate_limit':
    case 'server':
    case 'connection':
      return 'again';
    default:
      return failure satisfies never;
  }
}

/** What `counts` says of this class, or null. */
export function countFor(failure: FailureClass, counts: ErrorClassCounts): number | null {
  switch (failure) {
    case 'client':
    case 'context_window':
      return counts.badRequest;
    case 'content_policy':
      return counts.contentPolicy;
    case 'credential':
      return counts.authentication;
    case 'timeout':
      return counts.timeout;
    case 'rate_limit':
      return counts.rateLimit;
    case 'server':
    case 'connection':
      return counts.internal;
    case 'not_found':
    case 'conflict':
      return null;
    default:
      return failure satisfies never;
  }
}
