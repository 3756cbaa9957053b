import { runGroup } from '../support/run-group.ts';

runGroup('sidecar-keys');
