import { runDayOfJournal } from './support/day-of-journal.ts';
import type { Scenario } from './support/scenario.ts';

export const scenario: Scenario = {
  name: 'day-behind',
  description:
    "a day's journal, 25 requests a second, that the database is without; the control plane is killed while it catches up",
  modes: ['sidecar'],
  seconds: 60,
  run: (context) => runDayOfJournal(context, null),
};
