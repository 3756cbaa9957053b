import { parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../../base/invariant.ts';
import { startHeartbeat } from '../../runtime/heartbeat.ts';
import type { Logger } from '../../runtime/logger.ts';
import { MetricsRegistry } from '../../runtime/metrics-registry.ts';
import type { FromWorker, ToWorker, WorkerThreadData } from './worker-messages.ts';
import { Worker } from './worker.ts';

/* Entry of a worker thread: the same Worker as on the main loop, its host at the other end of a message port. */

invariant(parentPort !== null, 'this module is the entry of a worker thread');
const port = parentPort;
const data = workerData as WorkerThreadData;
const metricsAsked = new Map<number, (text: string) => void>();
let lastMetricsId = 0;
let connectionCount = 0;

const tell = (message: FromWorker): void => {
  port.postMessage(message);
};

const worker = new Worker({
  host: {
    lookUpKey: (hash) => {
      tell({ type: 'key-lookup', hash });
    },
    renderMetrics: (take) => {
      lastMetricsId += 1;
      metricsAsked.set(lastMetricsId, take);
      tell({ type: 'render-metrics', id: lastMetricsId });
    },
    shareResponse: (responseId, deploymentId, owner) => {
      tell({ type: 'response-made', responseId, deploymentId, owner });
    },
    connectionsChanged: (count) => {
      // The main thread counts a socket when it sends it here: storing `count` would wipe those still on their way.
      if (count < connectionCount) Atomics.sub(data.shared.connectionCounts, data.index, connectionCount - count);
      connectionCount = count;
    },
  },
  logger: portLogger({}),
  registry: new MetricsRegistry({
    publish: (registrations) => {
      tell({ type: 'metrics', registrations });
    },
  }),
  listeners: data.listeners,
  adminSocketPath: data.adminSocketPath,
  journalDirectory: data.journalDirectory,
  journalPrefix: data.journalPrefix,
  shared: data.shared,
});

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'socket':
      worker.accept(message.socket, message.listener);
      return;
    case 'certificate':
      worker.setCertificate(message.listener, message.certificate);
      return;
    case 'snapshot':
      tell({
        type: 'snapshot-applied',
        version: message.snapshot.version,
        blockedMs: worker.applySnapshot(message.snapshot),
      });
      return;
    case 'keys':
      worker.loadKeys(message.shared, message.sequence, message.complete);
      return;
    case 'key-changes':
      if (!worker.changeKeys(message.message)) tell({ type: 'key-gap' });
      return;
    case 'key-answer':
      worker.answerKey(message.answer);
      return;
    case 'control':
      worker.setControlConnected(message.connected);
      return;
    case 'response-made':
      worker.responses.add(message.responseId, { deploymentId: message.deploymentId, owner: message.owner });
      return;
    case 'metrics-text':
      metricsAsked.get(message.id)?.(message.text);
      metricsAsked.delete(message.id);
      return;
    case 'begin-drain':
      worker.beginDrain();
      return;
    case 'finish-drain':
      void worker.finishDrain(message.drain).then(() => {
        tell({ type: 'drained' });
      });
      return;
    default:
      message satisfies never;
  }
});

tell({ type: 'ready' });
startHeartbeat(() => Atomics.add(data.shared.heartbeats, data.index, 1), data.heartbeatIntervalMs);

/** Lines go through the main thread, which owns the output. */
function portLogger(bound: Record<string, unknown>): Logger {
  const log = (level: 'info' | 'warn' | 'error') => (message: string, fields?: Readonly<Record<string, unknown>>) => {
    tell({ type: 'log', level, message, fields: { ...bound, ...fields } });
  };
  return {
    debug: () => undefined,
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
    child: (fields) => portLogger({ ...bound, ...fields }),
  };
}
