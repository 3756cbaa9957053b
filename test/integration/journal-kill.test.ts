import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { auditJournal } from '../../src/cli/journal/journal-audit.ts';
import { startMock, type RunningMock } from '../../src/cli/mock/mock-server.ts';
import { childNamed } from '../support/child-processes.ts';
import { chatBytes } from '../support/flow-support.ts';
import { MODES, startGateway, type Gateway } from '../support/gateway.ts';
import { runJournal } from '../support/journal-files.ts';
import { eventually, RawClient } from '../support/raw-client.ts';
import { MASTER_KEY, readJournalText, TEST_KEY } from '../support/sidecar-harness.ts';

const CLIENTS = 8;
const STREAMS = 3;

let mock: RunningMock;
before(async () => {
  mock = await startMock();
});
after(() => mock.close());

function config(): string {
  const model = (name: string, flags: string): string =>
    `{ model_name: ${name}, litellm_params: { model: "openai/${name}?${flags}", api_base: "${mock.url}/v1", api_key: k } }`;
  return (
    `model_list: [ ${model('m', 'ttft=3')}, ${model('long', 'tokens=1000&interval=40')} ]\n` +
    `general_settings: { master_key: ${MASTER_KEY} }\n` +
    `slipstream: { keys: [ { key: ${TEST_KEY} } ], journal: { open_after: 1, max_segment_bytes: 40000 } }\n`
  );
}

/** Its number is its trace id, which its line holds. */
function trace(number: number): string {
  return number.toString(16).padStart(32, '0');
}

function request(number: number, model: string, more: string): Buffer {
  return chatBytes(model, `,"messages":[]${more}`, {
    headers: [`traceparent: 00-${trace(number)}-00000000000000ff-01`],
  });
}

/** Requests until the connection drops. @returns the number of the one that got no answer. */
async function work(port: number, next: () => number, answered: Set<number>): Promise<number> {
  const client = new RawClient(port);
  for (;;) {
    const number = next();
    try {
      const { status } = await client.send(request(number, 'm', '')).reply();
      assert.equal(status, 200);
      answered.add(number);
    } catch {
      return number;
    }
  }
}

for (const mode of MODES) {
  describe(`kill -9 under load, ${mode}`, () => {
    it('sent = journaled + in flight; what was answered is in the journal; long streams have their open lines', async (t) => {
      const gateway: Gateway = await startGateway({ mode, config: config() });
      t.after(() => {
        gateway.process.kill('SIGKILL');
        rmSync(gateway.directory, { recursive: true, force: true, maxRetries: 5 });
      });
      const streams = Array.from({ length: STREAMS }, (_, n) =>
        new RawClient(gateway.port).send(request(n + 1, 'long', ',"stream":true')),
      );
      const answered = new Set<number>();
      let sent = STREAMS;
      const next = (): number => {
        sent += 1;
        return sent;
      };
      const loads = Array.from({ length: CLIENTS }, () => work(gateway.port, next, answered));
      const directory = `${gateway.dataDirectory}/journal`;
      const opens = (): number => readJournalText(directory).split('"open":"').length - 1;
      let alive = auditJournal(gateway.dataDirectory);
      // On a busy machine another request may have an open line as well, for a moment.
      const isRunning = (): boolean => {
        if (answered.size <= 200 || opens() < STREAMS) return false;
        alive = auditJournal(gateway.dataDirectory);
        return alive.inProgress === STREAMS;
      };
      await eventually(isRunning, 'the load runs');
      assert.deepEqual([alive.inProgress, alive.lost, alive.problemCount], [STREAMS, 0, 0]);

      // The process that serves; in `no-sidecar` it is the only one.
      const pid = mode === 'sidecar' ? childNamed(gateway.process.pid!, 'sidecar') : gateway.process.pid!;
      process.kill(pid!, 'SIGKILL');
      const inFlight = await Promise.all(loads);
      await Promise.all(streams.map((stream) => stream.ended()));

      const numbers = gateway.journal().map(({ traceId }) => Number.parseInt(traceId!, 16));
      const journaled = new Set(numbers);
      assert.equal(journaled.size, numbers.length, 'no request twice');
      assert.deepEqual(
        [...answered].filter((number) => !journaled.has(number)),
        [],
        'answered and not in the journal',
      );
      // Everything else was in flight: one request a connection, and the streams.
      const unfinished = new Set([...inFlight, ...Array.from({ length: STREAMS }, (_, n) => n + 1)]);
      for (let number = 1; number <= sent; number += 1) {
        assert.ok(journaled.has(number) || unfinished.has(number), `request ${number} is nowhere`);
      }
      const report = auditJournal(gateway.dataDirectory);
      assert.equal(report.problemCount, 0);
      assert.equal(report.events, journaled.size);
      assert.deepEqual([report.lost, report.inProgress], [STREAMS, 0], 'the streams are lost with their process');
      assert.ok(report.estimatedTokens.output >= STREAMS, `${report.estimatedTokens.output} tokens of them known`);
      const { status, stdout } = runJournal(['verify', '--data-dir', gateway.dataDirectory]);
      assert.equal(status, 0, stdout);
      assert.match(stdout, /lost +3 /);
    });
  });
}
