import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { CONFIG_ENV, makeDirectory, SlipstreamProcess, type StartOptions, writeConfig } from './slipstream-process.ts';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(t: TestContext, command: readonly string[], options: StartOptions = {}): Promise<Ended> {
  const process = new SlipstreamProcess(t, command, options);
  const { code } = await process.exited;
  return { code, stdout: process.stdout, stderr: process.stderr };
}

/** Exactly one line on standard error, nothing on standard output. */
function assertOneLine(ended: Ended, code: number, pattern: RegExp): void {
  assert.match(ended.stderr, pattern);
  assert.equal(ended.stderr.split('\n').length, 2, ended.stderr);
  assert.equal(ended.stdout, '');
  assert.equal(ended.code, code);
}

describe('wrong command lines end with 2 and one line', { concurrency: 2 }, () => {
  const cases: readonly (readonly [args: readonly string[], pattern: RegExp, env?: Record<string, string>])[] = [
    [['start', '--prot', '4000'], /^slipstream start: unknown option "--prot"; did you mean --port\?/],
    [['start', '--port'], /--port needs a value/],
    [['start', '--port', '65536'], /--port must be a whole number from 0 to 65535, not "65536"/],
    [['start', '--port', 'http'], /--port must be a whole number/],
    [['start', '--num_workers', '0'], /--threads must be a whole number from 1 to 256/],
    [['start', '--log', 'xml'], /--log must be one of json, pretty/],
    [['start', '--log-level', 'loud'], /--log-level must be one of debug, info, warn, error/],
    [['start', 'now'], /unexpected argument "now"/],
    [['start'], /^slipstream start: PORT must be a whole number.*not "tcp"/, { PORT: 'tcp' }],
    [['start'], /^slipstream start: LITELLM_LOG must be one of/, { LITELLM_LOG: 'noisy' }],
    [['start'], /^slipstream start: SLIPSTREAM_SIDECAR must be one of/, { SLIPSTREAM_SIDECAR: 'maybe' }],
    [['control', '--port', '1'], /^slipstream control: unknown option "--port"/],
    [['control', '--child'], /^slipstream control: --child is for the supervisor/],
    [['sidecar', '--config', 'x'], /^slipstream sidecar: unknown option "--config"/],
    [['sidecar', '--child'], /^slipstream sidecar: --child is for the supervisor/],
    [['check', 'a', 'b'], /^slipstream check: unexpected argument "b"/],
    [['check'], /^slipstream check: name the configuration/],
    [['mock', '--nonsense'], /^slipstream mock: unknown option "--nonsense"/],
    [['bench', 'overhead', '--nonsense'], /^slipstream bench overhead: unknown option "--nonsense"/],
    [['fly'], /^slipstream: there is no command "fly"/],
    [['--port', '1'], /^slipstream: there is no command "--port"; options come after a command/],
    [['constructor'], /^slipstream: there is no command "constructor"/],
  ];
  for (const [args, pattern, env] of cases) {
    it(`slipstream ${args.join(' ')}${env === undefined ? '' : ` with ${Object.keys(env).join()}`}`, async (t) => {
      const directory = join(makeDirectory(t), 'data');
      // The data directory comes from the environment, so that every command can be given one.
      const ended = await run(t, args, { env: { SLIPSTREAM_DATA_DIR: directory, ...env } });
      assertOneLine(ended, 2, pattern);
    });
  }

  it('no command at all shows the overview', async (t) => {
    const ended = await run(t, []);
    assert.equal(ended.code, 2);
    assert.match(ended.stderr, /Usage: slipstream COMMAND/);
  });
});

describe('help and version', { concurrency: 2 }, () => {
  for (const command of ['start', 'control', 'sidecar', 'check', 'mock', 'bench']) {
    it(`slipstream ${command} --help, and slipstream help ${command}`, async (t) => {
      const flagged = await run(t, [command, '--help']);
      assert.equal(flagged.code, 0, flagged.stderr);
      assert.match(flagged.stdout, new RegExp(`slipstream ${command}`));
      assert.equal(flagged.stderr, '');
      assert.equal((await run(t, ['help', command])).stdout, flagged.stdout);
    });
  }

  it('the overview names every command', async (t) => {
    const ended = await run(t, ['--help']);
    assert.equal(ended.code, 0);
    for (const command of ['start', 'control', 'sidecar', 'check', 'mock', 'bench']) {
      assert.match(ended.stdout, new RegExp(`^  ${command} `, 'm'));
    }
  });

  it('--version', async (t) => {
    const ended = await run(t, ['--version']);
    assert.match(ended.stdout, /^slipstream \d+\.\d+\.\d+\n$/);
    assert.equal(ended.code, 0);
  });
});

describe('what keeps a start from succeeding is said once, and ends it with 1', { concurrency: 2 }, () => {
  for (const mode of [[], ['--no-sidecar']]) {
    const label = mode.length === 0 ? 'two processes' : 'one process';

    it(`${label}: the port is taken`, async (t) => {
      const other = createServer().listen(0, '127.0.0.1');
      t.after(() => other.close());
      await once(other, 'listening');
      const { port } = other.address() as AddressInfo;
      const args = ['start', '--port', String(port), '--data-dir', makeDirectory(t), ...mode];
      assertOneLine(
        await run(t, args),
        1,
        new RegExp(`^slipstream: port ${port} is already in use.*npm start -- --port ${port + 1}\\n$`),
      );
    });

    it(`${label}: the configuration is not there`, async (t) => {
      const directory = makeDirectory(t);
      const config = join(directory, 'absent.yaml');
      const args = ['start', '--port', '0', '--data-dir', join(directory, 'data'), '--config', config, ...mode];
      const ended = await run(t, args, { env: CONFIG_ENV });
      assert.equal(ended.code, 1);
      assert.equal(ended.stdout, '');
      assert.equal(ended.stderr.split(config).length, 2, ended.stderr);
    });

    it(`${label}: the configuration is at fault`, async (t) => {
      const directory = makeDirectory(t);
      const config = writeConfig(directory, 'http://127.0.0.1:1', 'slipstream: { num_retrys: 3 }\n');
      const args = ['start', '--port', '0', '--data-dir', join(directory, 'data'), '--config', config, ...mode];
      const ended = await run(t, args, { env: CONFIG_ENV });
      assert.equal(ended.code, 1);
      assert.equal(ended.stderr.split('slipstream.num_retrys').length, 2, ended.stderr);
      assert.match(ended.stderr, /^slipstream: .*config\.yaml:\d+:\d+.*did you mean num_retries/m);
    });

    it(`${label}: no master key`, async (t) => {
      const directory = makeDirectory(t);
      const config = writeConfig(directory, 'http://127.0.0.1:1');
      const args = ['start', '--port', '0', '--data-dir', join(directory, 'data'), '--config', config, ...mode];
      const ended = await run(t, args, { env: { TEST_PROVIDER_KEY: 'x' } });
      assert.equal(ended.code, 1);
      assert.match(ended.stderr, /master.key/i);
    });
  }

  it('another gateway has the data directory', async (t) => {
    const data = makeDirectory(t);
    const first = new SlipstreamProcess(t, ['start', '--port', '0', '--data-dir', data]);
    await first.ready();
    for (const command of [
      ['start', '--port', '0'],
      ['start', '--no-sidecar', '--port', '0'],
      ['sidecar', '--port', '0'],
    ]) {
      const ended = await run(t, [...command, '--data-dir', data]);
      assertOneLine(ended, 1, new RegExp(`^slipstream: the data directory ${data} is in use.*\\(pid ${first.pid}\\)`));
    }
    assert.equal(await first.stop(), 0);
    const next = new SlipstreamProcess(t, ['start', '--port', '0', '--data-dir', data]);
    await next.ready();
    assert.equal(await next.stop(), 0);
  });

  it('the data directory is a file', async (t) => {
    const path = join(makeDirectory(t), 'file');
    writeFileSync(path, '');
    assertOneLine(
      await run(t, ['start', '--port', '0', '--data-dir', path]),
      1,
      /^slipstream: cannot use the data directory/,
    );
    assert.ok(existsSync(path));
  });

  it('an address that is not this machine', async (t) => {
    const directory = makeDirectory(t);
    const config = writeConfig(directory, 'http://127.0.0.1:1');
    const args = ['start', '--host', '192.0.2.1', '--port', '0', '--data-dir', directory, '--config', config];
    assertOneLine(
      await run(t, args, { env: CONFIG_ENV }),
      1,
      /^slipstream: 192\.0\.2\.1 is not an address of this machine/,
    );
  });

  it('the control plane alone has no configuration', async (t) => {
    const ended = await run(t, ['control', '--data-dir', makeDirectory(t)]);
    assertOneLine(ended, 1, /^slipstream: the control plane alone needs a configuration/);
  });
});
