import { build, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';
import type { Quantiles } from './load-spec.ts';

const LOWEST_NS = 1;
const HIGHEST_NS = 600e9;
/** Three digits: within 0.1 % of the true value. */
const SIGNIFICANT_DIGITS = 3;

/** Durations in ns, in an HDR histogram; what is negative or beyond ten minutes counts as the bound. */
export class LatencyRecorder {
  readonly #histogram: Histogram = build({
    bitBucketSize: 32,
    autoResize: false,
    lowestDiscernibleValue: LOWEST_NS,
    highestTrackableValue: HIGHEST_NS,
    numberOfSignificantValueDigits: SIGNIFICANT_DIGITS,
    useWebAssembly: false,
  });

  record(ns: number): void {
    this.#histogram.recordValue(ns < LOWEST_NS ? LOWEST_NS : ns > HIGHEST_NS ? HIGHEST_NS : Math.round(ns));
  }

  reset(): void {
    this.#histogram.reset();
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  /** The least recorded; 0 when nothing was. */
  get leastNs(): number {
    return this.count === 0 ? 0 : this.#histogram.minNonZeroValue;
  }

  quantiles(): Quantiles {
    return quantilesOf(this.#histogram);
  }

  encode(): string {
    return encodeIntoCompressedBase64(this.#histogram);
  }
}

export function quantilesOf(histogram: Histogram): Quantiles {
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile) / 1000;
  return {
    count: histogram.totalCount,
    p50: at(50),
    p90: at(90),
    p99: at(99),
    p999: at(99.9),
    max: histogram.maxValue / 1000,
  };
}
