import type { CounterCell, GaugeCell, HistogramCell, MetricsRegistry } from '../../runtime/metrics-registry.ts';

const WRITE_BOUNDS_SECONDS = [0.000_01, 0.000_1, 0.001, 0.005, 0.025, 0.1, 1, 10];

/** How a worker's journal is doing. Its events, stored and dropped, are counted with the requests (SidecarMetrics). */
export class JournalMetrics {
  readonly opens: CounterCell;
  readonly syncFailures: CounterCell;
  readonly writeSeconds: HistogramCell;
  readonly bytes: GaugeCell;
  readonly queuedBytes: GaugeCell;
  readonly failing: GaugeCell;
  readonly slow: GaugeCell;

  constructor(registry: MetricsRegistry) {
    this.opens = registry
      .counter(
        'slipstream_journal_open_lines_total',
        'Requests that ran for longer than journal.open_after, noted in the journal',
      )
      .cell();
    this.syncFailures = registry
      .counter('slipstream_journal_fsync_failures_total', 'Journal segments that could not be forced to the disk')
      .cell();
    this.writeSeconds = registry
      .histogram('slipstream_journal_write_seconds', 'Duration of writes to the journal', [], WRITE_BOUNDS_SECONDS)
      .cell();
    this.bytes = registry.gauge('slipstream_journal_bytes', 'Size of all journal segments').cell();
    this.queuedBytes = registry.gauge('slipstream_journal_queued_bytes', 'Journal lines that wait for the disk').cell();
    this.failing = registry
      .gauge('slipstream_journal_failing', 'Workers whose journal takes no events: no room, or an error')
      .cell();
    this.slow = registry
      .gauge('slipstream_journal_slow', 'Workers that write beside the event loop since the disk is slow')
      .cell();
  }
}
