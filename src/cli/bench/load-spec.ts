import type { CpuUser } from './process-stats.ts';

/** One run of the load generator against one address: the parent's order. Plain JSON. */
export interface LoadSpec {
  readonly host: string;
  readonly port: number;
  /** TLS with this server name; null = plain TCP. */
  readonly tlsServerName: string | null;
  /** False for a server whose certificate nobody vouches for. */
  readonly tlsVerify: boolean;
  /** The whole request in latin1, with the nonce's characters at `nonceAt`. */
  readonly request: string;
  /** Offset of the nonce's last digits, which change per request; −1 = none. */
  readonly nonceAt: number;
  readonly connections: number;
  /** Requests per second, from a schedule that waits for nobody; 0 = each connection sends when it has its reply. */
  readonly qps: number;
  readonly seconds: number;
  /** Sent before, at the same rate, and not counted. */
  readonly warmUpSeconds: number;
  /** Replies are event streams with the mock's clock in their frames. */
  readonly isStream: boolean;
  /** Bytes of each reply's body after chunked decoding; null = not known, must be more than none. */
  readonly expectedBodyBytes: number | null;
  /** A reply that is not complete this long after its instant has failed. */
  readonly timeoutMs: number;
  /** Processes whose CPU time is read right before and right after the counted part. */
  readonly cpuUsers: readonly CpuUser[];
  /** To this file goes a line for each complete reply, those of the warm-up included: its call id, its status. */
  readonly answersPath?: string;
}

/** Digits in the changing part of the nonce. */
export const NONCE_DIGITS = 10;

export interface LoadResult {
  /** Instants that came due in the counted part; in a closed loop the requests sent. */
  readonly scheduled: number;
  /** Replies that were complete and right. */
  readonly completed: number;
  readonly failures: Readonly<Record<string, number>>;
  /** First failures in words, for the reader. */
  readonly failureNotes: readonly string[];
  /** From the first instant to the last reply, less the shortest latency, seconds. */
  readonly elapsedSeconds: number;
  readonly achievedQps: number;
  /** Share of requests written more than 1 ms after their instant while a connection was free: our own fault. */
  readonly lateShare: number;
  /** From the scheduled instant to the last byte of the reply. */
  readonly latency: Quantiles;
  /** The same of complete replies with another status than 200, which count as failures. */
  readonly refusal: Quantiles;
  /** From the scheduled instant to the first frame; streams only. */
  readonly firstFrame: Quantiles | null;
  /** From the mock's clock in a frame to its arrival; streams only. */
  readonly frame: Quantiles | null;
  /** hdr-histogram of `latency` in ns, compressed base64. */
  readonly latencyHistogram: string;
  /** CPU seconds used by each of `cpuUsers` in the counted part. */
  readonly cpuSeconds: Readonly<Record<string, number>>;
  readonly ownCpuSeconds: number;
  /** Share of the machine's CPU time that went to neither this process nor `cpuUsers`: the kernel's network, others. */
  readonly othersCpuShare: number;
}

/** Microseconds. */
export interface Quantiles {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** One reply, whole, for a look at its content. */
export interface ProbeResult {
  readonly status: number;
  readonly head: string;
  /** After chunked decoding. */
  readonly body: string;
}

export type LoadCommand =
  | { readonly kind: 'run'; readonly spec: LoadSpec }
  | { readonly kind: 'probe'; readonly spec: LoadSpec };

export type LoadAnswer =
  | { readonly kind: 'result'; readonly result: LoadResult }
  | { readonly kind: 'probe'; readonly result: ProbeResult }
  | { readonly kind: 'failed'; readonly message: string };
