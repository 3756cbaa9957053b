// A process of its own for tests of what is trusted by default: node connect-once.ts PORT prints the outcome.
import { DEFAULT_LIMITS } from '../../src/http1/limits.ts';
import { UpstreamPools } from '../../src/sidecar/upstream/upstream-pools.ts';
import { origin, RecordingOwner } from './upstream-test-support.ts';

const pools = new UpstreamPools({
  connectTimeoutMs: 10_000,
  poolWaitMs: 10_000,
  idleTimeoutMs: 10_000,
  parserLimits: DEFAULT_LIMITS,
});
const owner = new RecordingOwner();
const spec = origin({ scheme: 'https', port: Number(process.argv[2]) });
pools.poolFor(spec).acquire(owner, performance.now());
await owner.until(() => owner.events.length > 0);
process.stdout.write(`${owner.failure?.message ?? 'connected'}\n`);
pools.closeAll();
