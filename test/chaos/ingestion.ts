import { runIngestion } from './support/ingestion-run.ts';
import type { Scenario } from './support/scenario.ts';

export const scenario: Scenario = {
  name: 'ingestion',
  description:
    'kill -9 and stop of the control plane, and a second ingester that is stopped and goes on: each event is in SQLite once',
  modes: ['sidecar'],
  seconds: 10,
  run: (context) => runIngestion(context, null),
};
