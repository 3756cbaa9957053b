// Nanoseconds per look-up in a key directory, in a SharedArrayBuffer as workers have it; and what building one costs.
//   node bin/slipstream.js node -- bench/micro/key-directory.ts [keys, default 1000000]
import { createHash } from 'node:crypto';
import { buildKeyDirectory, KeyDirectory } from '../../src/contract/key-directory.ts';
import { BARE_KEY_RECORD, type KeyRecord } from '../../src/contract/key-record.ts';
import { report } from './http1-median-time.ts';

const count = Number(process.argv[2] ?? 1_000_000);
const PROBES = 4096;

function hashOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

const records: KeyRecord[] = Array.from({ length: count }, (_, index) => ({
  ...BARE_KEY_RECORD,
  hash: hashOf(`sk-${index}`).toString('hex'),
  alias: `key ${index}`,
  userId: `user-${index % 1000}`,
  models: ['gpt-4o', 'claude-*'],
  rpmLimit: 100,
}));

const startedAt = performance.now();
const bytes = buildKeyDirectory(records);
console.log(
  `build, ${count} keys: ${(performance.now() - startedAt).toFixed(0)} ms, ${(bytes.length / 1e6).toFixed(1)} MB`,
);

const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
shared.set(bytes);
const directory = new KeyDirectory(shared);
// Spread over the table, so that it doesn't always come from the nearest cache.
const known = Array.from({ length: PROBES }, (_, index) => hashOf(`sk-${Math.floor((index * count) / PROBES)}`));
const unknown = Array.from({ length: PROBES }, (_, index) => hashOf(`no-${index}`));
let turn = 0;
let found = 0;

report('findOffset, known key', () => {
  turn = (turn + 1) % PROBES;
  if (directory.findOffset(known[turn] ?? bytes) >= 0) found += 1;
});
report('findOffset, unknown key', () => {
  turn = (turn + 1) % PROBES;
  if (directory.findOffset(unknown[turn] ?? bytes) >= 0) found -= 1;
});
report('find with its record parsed', () => {
  turn = (turn + 1) % PROBES;
  if (directory.find(known[turn] ?? bytes) !== null) found += 1;
});
if (found <= 0) throw new RangeError('the look-ups found nothing');
