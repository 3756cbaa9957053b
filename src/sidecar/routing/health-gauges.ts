import type { Snapshot } from '../../contract/snapshot.ts';
import { MetricsReader } from '../../runtime/metrics-reader.ts';
import { MetricsRegistry, type GaugeCell } from '../../runtime/metrics-registry.ts';
import { DeploymentHealth } from './deployment-health.ts';

const SILENT = { onBenched: () => undefined, onBack: () => undefined };

/** State of each breaker as a gauge. It is one for all threads, so the main thread reads it, and only when it is asked. */
export class HealthGauges {
  readonly #health: DeploymentHealth;
  readonly #registry: MetricsRegistry;
  readonly #cells = new Map<string, GaugeCell>();
  #snapshot: Snapshot | null = null;

  constructor(memory: SharedArrayBuffer, metrics: MetricsReader) {
    this.#health = new DeploymentHealth(memory, SILENT);
    this.#registry = new MetricsRegistry({
      publish: (registrations) => {
        metrics.accept('deployment-health', registrations);
      },
    });
    metrics.onCollect(() => {
      this.#collect();
    });
  }

  applySnapshot(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    const states = this.#registry.gauge(
      'slipstream_deployment_state',
      '0: serves, 1: one request tries whether it works again, 2: benched',
      ['deployment', 'model_group'],
    );
    for (const { id, groupName } of snapshot.deployments) this.#cells.set(id, states.cell(id, groupName));
    this.#registry.flush();
  }

  #collect(): void {
    for (const cell of this.#cells.values()) cell.set(0);
    for (const { id } of this.#snapshot?.deployments ?? []) {
      const { phase } = this.#health.breaker(this.#health.record(id));
      this.#cells.get(id)?.set(phase === 'closed' ? 0 : phase === 'probing' ? 1 : 2);
    }
  }
}
