import { ENDPOINT_NAMES } from '../../domain/endpoints.ts';
import type { CounterCell, GaugeCell, HistogramCell, MetricsRegistry } from '../../runtime/metrics-registry.ts';
import { TURNED_AWAY_REASONS, type TurnedAwayReason } from '../downstream/arrivals.ts';
import type { CompiledDeployment, CompiledGroup, CompiledSnapshot } from '../compiled-snapshot.ts';

const DURATION_BOUNDS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const OVERHEAD_BOUNDS_SECONDS = [
  0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25,
];
const STATUS_CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx', 'aborted'] as const;
const ENDPOINT_LABELS = [...ENDPOINT_NAMES, 'realtime', 'responses_by_id'] as const;
const ATTEMPT_OUTCOMES = ['ok', 'refused', 'error', 'unreachable'] as const;

export type EndpointLabel = (typeof ENDPOINT_LABELS)[number];
export type AttemptOutcome = (typeof ATTEMPT_OUTCOMES)[number];

/** Cells of one model group. */
interface GroupCells {
  readonly requests: readonly CounterCell[];
  readonly inputTokens: CounterCell;
  readonly outputTokens: CounterCell;
}

/** Every metric of one worker. Cells are fetched at snapshot build or kept after first use; counting is an array store. */
export class SidecarMetrics {
  readonly connections: GaugeCell;
  readonly inFlight: GaugeCell;
  readonly inFlightBytes: GaugeCell;
  readonly received: CounterCell;
  readonly refusedBeforeAuthentication: CounterCell;
  readonly abandonedBeforeAuthentication: CounterCell;
  readonly refusedForMemory: CounterCell;
  readonly unrecorded: CounterCell;
  readonly overhead: HistogramCell;
  readonly journalLines: CounterCell;
  readonly journalDropped: CounterCell;
  readonly clientGone: CounterCell;
  readonly retriesRefused: CounterCell;
  readonly turnedAway: Readonly<Record<TurnedAwayReason, CounterCell>>;

  readonly #registry: MetricsRegistry;
  readonly #durations: ReadonlyMap<string, HistogramCell>;
  readonly #groups = new Map<string, GroupCells>();
  readonly #attempts = new Map<string, Readonly<Record<AttemptOutcome, CounterCell>>>();

  constructor(registry: MetricsRegistry) {
    this.#registry = registry;
    this.connections = registry.gauge('slipstream_connections', 'Client connections open').cell();
    this.inFlight = registry.gauge('slipstream_in_flight_requests', 'Requests in progress').cell();
    this.received = registry
      .counter(
        'slipstream_requests_received_total',
        'Requests whose head came, well-formed or not: the sum of journal lines, journal dropped, refused and abandoned ' +
          'before authentication, unrecorded, and in flight',
      )
      .cell();
    this.abandonedBeforeAuthentication = registry
      .counter(
        'slipstream_abandoned_before_authentication_total',
        'Requests whose client left before a key was accepted',
      )
      .cell();
    this.unrecorded = registry
      .counter(
        'slipstream_unrecorded_requests_total',
        'Requests that cause no usage event: health, metrics, model lists, admin API',
      )
      .cell();
    this.inFlightBytes = registry
      .gauge('slipstream_in_flight_bytes', 'Bytes held for requests in progress, of limits.max_in_flight_bytes')
      .cell();
    this.refusedBeforeAuthentication = registry
      .counter(
        'slipstream_refused_before_authentication_total',
        'Requests refused before a key was accepted; they have no journal line',
      )
      .cell();
    this.refusedForMemory = registry
      .counter('slipstream_admission_refused_total', 'Requests shed, by reason', ['reason'])
      .cell('memory');
    this.overhead = registry
      .histogram(
        'slipstream_overhead_seconds',
        "The gateway's own work per request; event-loop lag and kernel time are not in it",
        [],
        OVERHEAD_BOUNDS_SECONDS,
      )
      .cell();
    this.journalLines = registry
      .counter('slipstream_journal_lines_total', 'Usage events written to the journal')
      .cell();
    this.journalDropped = registry
      .counter(
        'slipstream_journal_dropped_total',
        'Usage events for which there was no room, by max_bytes or on the disk',
      )
      .cell();
    this.clientGone = registry
      .counter('slipstream_client_gone_total', 'Requests whose client left before the answer was complete')
      .cell();
    this.retriesRefused = registry
      .counter(
        'slipstream_retries_refused_total',
        'Times that a failing deployment was passed over for want of retry budget',
      )
      .cell();
    const turnedAway = registry.counter(
      'slipstream_connections_turned_away_total',
      'Connections dropped before their first request: bad PROXY header, failed or late handshake',
      ['reason'],
    );
    this.turnedAway = Object.fromEntries(
      TURNED_AWAY_REASONS.map((reason) => [reason, turnedAway.cell(reason)]),
    ) as Record<TurnedAwayReason, CounterCell>;
    const duration = registry.histogram(
      'slipstream_request_duration_seconds',
      'Head complete to last byte of the answer',
      ['endpoint'],
      DURATION_BOUNDS_SECONDS,
    );
    this.#durations = new Map(ENDPOINT_LABELS.map((endpoint) => [endpoint, duration.cell(endpoint)]));
  }

  /** Makes the cells of a new snapshot before its first request. */
  prepare(snapshot: CompiledSnapshot): void {
    for (const group of snapshot.groups.values()) this.#group(group);
    for (const group of snapshot.wildcards) this.#group(group);
    for (const deployment of snapshot.deployments.values()) this.#deployment(deployment);
  }

  /** One request is over. `status` 0: the client left before an answer began. */
  countRequest(endpoint: EndpointLabel, group: CompiledGroup | null, status: number, durationMs: number): void {
    if (group !== null) this.#group(group).requests[status === 0 ? 5 : ((status / 100) | 0) - 1]!.add(1);
    this.#durations.get(endpoint)!.observe(durationMs / 1000);
  }

  countTokens(group: CompiledGroup, inputTokens: number, outputTokens: number): void {
    const cells = this.#group(group);
    cells.inputTokens.add(inputTokens);
    cells.outputTokens.add(outputTokens);
  }

  countAttempt(deployment: CompiledDeployment, outcome: AttemptOutcome): void {
    this.#deployment(deployment)[outcome].add(1);
  }

  /** Attempts in progress at a deployment. */
  deploymentInFlight(deploymentId: string): GaugeCell {
    return this.#registry
      .gauge('slipstream_deployment_in_flight', 'Attempts in progress at a deployment', ['deployment'])
      .cell(deploymentId);
  }

  countBench(deploymentId: string, reason: string): void {
    this.#registry
      .counter('slipstream_deployment_benched_total', 'Times that a deployment was benched, by reason', [
        'deployment',
        'reason',
      ])
      .cell(deploymentId, reason)
      .add(1);
  }

  #group(group: CompiledGroup): GroupCells {
    let cells = this.#groups.get(group.name);
    if (cells === undefined) {
      const requests = this.#registry.counter(
        'slipstream_requests_total',
        'Authenticated requests by model group and status class',
        ['model_group', 'status'],
      );
      const tokens = this.#registry.counter('slipstream_tokens_total', 'Tokens as reported by providers', [
        'model_group',
        'direction',
      ]);
      cells = {
        requests: STATUS_CLASSES.map((status) => requests.cell(group.name, status)),
        inputTokens: tokens.cell(group.name, 'input'),
        outputTokens: tokens.cell(group.name, 'output'),
      };
      this.#groups.set(group.name, cells);
    }
    return cells;
  }

  #deployment(deployment: CompiledDeployment): Readonly<Record<AttemptOutcome, CounterCell>> {
    const { id } = deployment.spec;
    let cells = this.#attempts.get(id);
    if (cells === undefined) {
      const attempts = this.#registry.counter(
        'slipstream_upstream_attempts_total',
        'Attempts at a deployment by outcome',
        ['deployment', 'outcome'],
      );
      cells = {
        ok: attempts.cell(id, 'ok'),
        refused: attempts.cell(id, 'refused'),
        error: attempts.cell(id, 'error'),
        unreachable: attempts.cell(id, 'unreachable'),
      };
      this.#attempts.set(id, cells);
    }
    return cells;
  }
}
