import type { Logger } from '../../runtime/logger.ts';
import type { WorkerContext } from '../worker/worker-context.ts';
import type { HealthListener } from './deployment-health.ts';

/** One log line and one count per bench, one line when it is over. */
export function healthReporter(worker: Pick<WorkerContext, 'snapshot' | 'metrics'>, logger: Logger): HealthListener {
  const groupOf = (id: string): string | null => worker.snapshot?.deployments.get(id)?.spec.groupName ?? null;
  return {
    onBenched: (id, reason, forMs) => {
      worker.metrics.countBench(id, reason);
      const forSeconds = Math.round(forMs / 100) / 10;
      logger.warn('a deployment is benched', { deployment: id, group: groupOf(id), reason, forSeconds });
    },
    onBack: (id, reason) => {
      logger.info('a deployment is back', { deployment: id, group: groupOf(id), wasBenchedFor: reason });
    },
  };
}
