import { it } from 'node:test';
import { runShownSpend } from '../conformance/management/run-shown-spend.ts';
import { MODES } from '../support/gateway.ts';

for (const mode of MODES) {
  it(`what budgets have spent is shown, and counts (${mode})`, (t) => runShownSpend(t, mode, {}));
}
