import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { CONTROL_PROTOCOL } from '../../src/contract/control-messages.ts';
import { decodeKeyChanges, keyChangeLogOf } from '../../src/contract/key-change-log.ts';
import { KeyDirectory } from '../../src/contract/key-directory.ts';
import { DATA_FILES, type PersistedState } from '../../src/contract/persisted-state.ts';
import { runControl } from '../../src/control/control-main.ts';
import { ConfigError } from '../../src/control/config/findings.ts';
import { loadOrCreateSealKey, readSealedFile } from '../../src/runtime/sealed-file.ts';
import { GENERAL } from './compile-yaml.ts';
import { type Home, makeHome, SidecarEnd, startControl, until, withControl } from './control-harness.ts';

const KEY = 'sk-key-0123456789abcdef';
const HASH = createHash('sha256').update(KEY).digest();

function configOf(models: readonly string[], rest = ''): string {
  const entries = models.map((name) => `{model_name: ${name}, litellm_params: {model: x, api_base: "http://h/v1"}}`);
  return `model_list: [${entries.join(', ')}]\n${GENERAL}${rest}`;
}

const KEYS = `slipstream: {keys: [{key: ${KEY}, alias: first}]}`;

function persisted(home: Home): PersistedState {
  const key = loadOrCreateSealKey(join(home.options.dataDirectory, DATA_FILES.sealKey));
  const bytes = readSealedFile(join(home.options.dataDirectory, DATA_FILES.state), key);
  assert.ok(bytes);
  return JSON.parse(bytes.toString('utf8')) as PersistedState;
}

async function connected(home: Home): Promise<SidecarEnd> {
  const end = SidecarEnd.hello(home.options.controlSocketPath);
  await end.take('hello');
  await end.take('snapshot');
  await end.take('key-directory');
  return end;
}

describe('a sidecar that connects', () => {
  it('gets hello, the snapshot, and a key directory that it can read', async () => {
    const home = makeHome(configOf(['a'], KEYS));
    await withControl(home, async () => {
      const end = SidecarEnd.hello(home.options.controlSocketPath);
      const hello = await end.take('hello');
      assert.deepEqual([hello.protocol, hello.role, hello.pid], [CONTROL_PROTOCOL, 'control', process.pid]);
      const { snapshot } = await end.take('snapshot');
      assert.equal(snapshot.groups[0]?.name, 'a');
      const keys = await end.take('key-directory');
      assert.equal(keys.complete, true);
      const directory = new KeyDirectory(readFileSync(keys.path));
      assert.equal(directory.find(HASH)?.alias, 'first');
      assert.equal(directory.count, 1);
      end.close();
    });
  });

  it('gets answers about keys, and the keys again when it asks', async () => {
    const home = makeHome(configOf(['a'], KEYS));
    await withControl(home, async () => {
      const end = await connected(home);
      end.send({ type: 'key-lookup', id: 1, hash: HASH.toString('hex') });
      const known = await end.take('key-answer');
      assert.deepEqual([known.id, known.record?.alias, known.failed], [1, 'first', false]);
      end.send({ type: 'key-lookup', id: 2, hash: '0'.repeat(64) });
      const unknown = await end.take('key-answer');
      assert.deepEqual([unknown.id, unknown.record, unknown.failed], [2, null, false]);
      end.send({ type: 'resend-keys' });
      assert.equal((await end.take('key-directory')).sequence, 1);
      end.send({ type: 'snapshot-applied', version: 'v', blockedMs: 1.5 });
      await until(() => home.log.some((line) => line.includes('snapshot applied')));
      end.close();
    });
  });

  it('of another protocol is refused with a clear line', async () => {
    const home = makeHome(configOf(['a']));
    await withControl(home, async () => {
      const end = new SidecarEnd(home.options.controlSocketPath);
      end.send({ type: 'hello', protocol: CONTROL_PROTOCOL + 1, role: 'sidecar', pid: 1, version: '9.9.9' });
      const { reason } = await end.take('refused');
      assert.match(reason, /speaks control protocol 1, the sidecar \(9\.9\.9\) 2/);
      await end.closed();
      assert.ok(!end.received.some((message) => message.type === 'snapshot'));
    });
  });

  const strangers: readonly (readonly [name: string, bytes: Buffer, reason: RegExp])[] = [
    ['says nothing of itself first', frame('{"type":"resend-keys"}'), /first message must be hello/],
    ['speaks another language', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /over the limit/],
    ['sends no JSON', frame('sk-secret'), /not valid JSON/],
    ['sends no message', frame('[]'), /not an object with a type/],
  ];
  for (const [name, bytes, reason] of strangers) {
    it(`that ${name} is refused and closed; others are served`, async () => {
      const home = makeHome(configOf(['a']));
      await withControl(home, async () => {
        const end = new SidecarEnd(home.options.controlSocketPath);
        end.socket.write(bytes);
        assert.match((await end.take('refused')).reason, reason);
        await end.closed();
        (await connected(home)).close();
        assert.doesNotMatch(home.log.join(''), /secret/);
      });
    });
  }

  it('that breaks off in the middle of a frame harms nobody', async () => {
    const home = makeHome(configOf(['a']));
    await withControl(home, async () => {
      const end = await connected(home);
      end.socket.write(frame('{"type":"resend-keys"}').subarray(0, 7));
      end.close();
      (await connected(home)).close();
    });
  });
});

function frame(body: string): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(Buffer.byteLength(body));
  return Buffer.concat([header, Buffer.from(body)]);
}

describe('a change of the configuration', () => {
  it('is seen when the file is written, and only what changed is sent', async () => {
    const home = makeHome(configOf(['a'], KEYS));
    await withControl(home, async () => {
      const end = await connected(home);
      writeFileSync(home.configPath, configOf(['a', 'b'], KEYS));
      assert.deepEqual(
        (await end.take('snapshot')).snapshot.groups.map((group) => group.name),
        ['a', 'b'],
      );
      writeFileSync(home.configPath, configOf(['a', 'b'], KEYS.replace('first', 'second')));
      const keys = await end.take('key-changes');
      assert.deepEqual([keys.fromSequence, keys.toSequence, keys.changes.length], [1, 2, 1]);
      assert.equal(keys.changes[0]?.record?.alias, 'second');
      await until(() => end.received.length === 0);
      end.send({ type: 'key-lookup', id: 1, hash: HASH.toString('hex') });
      assert.equal((await end.take('key-answer')).record?.alias, 'second');
      assert.deepEqual(end.received, []);
      end.close();
    });
  });

  const replacements: readonly (readonly [name: string, replace: (home: Home, text: string) => void])[] = [
    [
      'is put in its place by rename',
      (home, text) => {
        writeFileSync(`${home.configPath}.new`, text);
        renameSync(`${home.configPath}.new`, home.configPath);
      },
    ],
    [
      'is removed and written anew',
      (home, text) => {
        unlinkSync(home.configPath);
        writeFileSync(home.configPath, text);
      },
    ],
    [
      'is moved away, then written, as editors with backups do',
      (home, text) => {
        renameSync(home.configPath, `${home.configPath}~`);
        writeFileSync(home.configPath, text);
      },
    ],
  ];
  for (const [name, replace] of replacements) {
    it(`is seen when the file ${name}, twice`, async () => {
      const home = makeHome(configOf(['a']));
      await withControl(home, async () => {
        const end = await connected(home);
        for (const model of ['b', 'c']) {
          replace(home, configOf([model]));
          assert.equal((await end.take('snapshot')).snapshot.groups[0]?.name, model);
        }
        end.close();
      });
    });
  }

  it('is seen when a directory of links is swapped, as Kubernetes does', async () => {
    const home = makeHome('');
    const put = (version: string, text: string): void => {
      mkdirSync(join(home.directory, version));
      writeFileSync(join(home.directory, version, 'config.yaml'), text);
      symlinkSync(version, join(home.directory, '..data_tmp'));
      renameSync(join(home.directory, '..data_tmp'), join(home.directory, '..data'));
    };
    put('v1', configOf(['a']));
    unlinkSync(home.configPath);
    symlinkSync('..data/config.yaml', home.configPath);
    await withControl(home, async () => {
      const end = await connected(home);
      put('v2', configOf(['b']));
      assert.equal((await end.take('snapshot')).snapshot.groups[0]?.name, 'b');
      end.close();
    });
  });

  it('is seen in an included file, also in one that did not exist', async () => {
    const home = makeHome(`include: [more.yaml]\n${configOf(['a'])}`);
    const more = join(home.directory, 'more.yaml');
    writeFileSync(more, 'litellm_settings: {num_retries: 1}');
    await withControl(home, async (control) => {
      const end = await connected(home);
      writeFileSync(more, 'litellm_settings: {num_retries: 4}');
      assert.equal((await end.take('snapshot')).snapshot.settings.numRetries, 4);
      unlinkSync(more);
      await control.reload();
      assert.match(home.log.join(''), /cannot read .*more\.yaml/);
      writeFileSync(more, 'litellm_settings: {num_retries: 5}');
      assert.equal((await end.take('snapshot')).snapshot.settings.numRetries, 5);
      end.close();
    });
  });

  it('is seen in a file that a bad edit was the first to include', async () => {
    const home = makeHome(configOf(['a']));
    await withControl(home, async () => {
      const end = await connected(home);
      const more = join(home.directory, 'more.yaml');
      writeFileSync(more, 'litellm_settings: {num_retries: many}');
      writeFileSync(home.configPath, `include: [more.yaml]\n${configOf(['a'])}`);
      await until(() => home.log.some((line) => line.includes('the old one stays in force')));
      writeFileSync(more, 'litellm_settings: {num_retries: 4}');
      assert.equal((await end.take('snapshot')).snapshot.settings.numRetries, 4);
      end.close();
    });
  });

  it('that is bad keeps the old one running, is logged with its place, and is got over', async () => {
    const home = makeHome(configOf(['a']));
    await withControl(home, async (control) => {
      const end = await connected(home);
      writeFileSync(home.configPath, `${configOf(['b'])}slipstream: {threads: sk-secret}\n`);
      await until(() => home.log.some((line) => line.includes('the old one stays in force')));
      assert.match(home.log.join(''), /config\.yaml:3:14: slipstream\.threads: must be a whole number/);
      assert.doesNotMatch(home.log.join(''), /secret/);
      (await connected(home)).close();
      assert.equal(persisted(home).snapshot.groups[0]?.name, 'a');
      writeFileSync(home.configPath, 'model_list: [');
      await control.reload();
      assert.deepEqual(end.received, []);
      writeFileSync(home.configPath, configOf(['c']));
      assert.equal((await end.take('snapshot')).snapshot.groups[0]?.name, 'c');
      end.close();
    });
  });

  it('that changes nothing sends nothing', async () => {
    const home = makeHome(configOf(['a'], KEYS));
    await withControl(home, async (control) => {
      const end = await connected(home);
      writeFileSync(home.configPath, `# a comment\n${configOf(['a'], KEYS)}`);
      await control.reload();
      assert.match(home.log.join(''), /nothing has changed/);
      end.send({ type: 'key-lookup', id: 1, hash: '0'.repeat(64) });
      await end.take('key-answer');
      assert.deepEqual(end.received, []);
      end.close();
    });
  });

  it('takes effect once for reloads that are asked for at once', async () => {
    const home = makeHome(configOf(['a']));
    await withControl(home, async (control) => {
      const end = await connected(home);
      writeFileSync(home.configPath, configOf(['b']));
      await Promise.all([control.reload(), control.reload(), control.reload()]);
      assert.equal((await end.take('snapshot')).snapshot.groups[0]?.name, 'b');
      end.send({ type: 'key-lookup', id: 1, hash: '0'.repeat(64) });
      await end.take('key-answer');
      assert.deepEqual(end.received, []);
      end.close();
    });
  });

  it('of what only a new start can change is said', async () => {
    const home = makeHome(configOf(['a'], 'slipstream: {threads: 1}'));
    await withControl(home, async (control) => {
      writeFileSync(home.configPath, configOf(['a'], 'slipstream: {threads: 2}'));
      await control.reload();
      assert.match(home.log.join(''), /threads changes at the next start/);
    });
  });
});

describe('the data directory', () => {
  it('has the state that was sent, sealed, and nothing that others can read', async () => {
    const home = makeHome(configOf(['a'], KEYS));
    await withControl(home, async (control) => {
      const end = SidecarEnd.hello(home.options.controlSocketPath);
      const { snapshot } = await end.take('snapshot');
      const keys = await end.take('key-directory');
      const state = persisted(home);
      assert.deepEqual(state.snapshot, snapshot);
      assert.equal(join(home.options.dataDirectory, state.keyDirectory.fileName), keys.path);
      for (const name of readdirSync(home.options.dataDirectory)) {
        assert.equal(statSync(join(home.options.dataDirectory, name)).mode & 0o077, 0, name);
        if (name.endsWith('.sock')) continue;
        const content = readFileSync(join(home.options.dataDirectory, name), 'latin1');
        assert.ok(!content.includes(KEY) && !content.includes(control.masterKey()), name);
      }
      end.close();
    });
  });

  it('keeps sequence, file and version over a restart that changes nothing', async () => {
    const home = makeHome(configOf(['a'], KEYS));
    const first = await startControl(home);
    const before = persisted(home);
    await first.stop();
    await withControl(home, async () => {
      assert.deepEqual(persisted(home), before);
      const end = SidecarEnd.hello(home.options.controlSocketPath);
      assert.equal((await end.take('snapshot')).snapshot.createdAtMs, before.snapshot.createdAtMs);
      end.close();
    });
  });

  it('has a log of what changed since the key directory, and nothing that a kill left', async () => {
    const home = makeHome(configOf(['a'], KEYS));
    writeFileSync(join(home.options.dataDirectory, 'keys-1-0123456789abcdef.dir.99.abc.tmp'), 'x');
    writeFileSync(join(home.options.dataDirectory, 'state.sealed.99.abc.tmp'), 'x');
    await withControl(home, async (control) => {
      for (const alias of ['b', 'c', 'd']) {
        writeFileSync(home.configPath, configOf(['a'], KEYS.replace('first', alias)));
        await control.reload();
      }
      const { fileName, sequence } = persisted(home).keyDirectory;
      const names = readdirSync(home.options.dataDirectory).filter(
        (name) => name.startsWith('keys-') || name.endsWith('.tmp'),
      );
      assert.deepEqual(names.toSorted(), [fileName, keyChangeLogOf(fileName)].toSorted());
      const log = decodeKeyChanges(readFileSync(join(home.options.dataDirectory, keyChangeLogOf(fileName)), 'utf8'));
      assert.deepEqual(
        log.map((message) => [message.fromSequence, message.changes[0]?.record?.alias]),
        ['b', 'c', 'd'].map((alias, index) => [sequence + index, alias]),
      );
    });
  });

  it('tells which keys of the file went while the control plane was stopped', async () => {
    const home = makeHome(configOf(['a'], KEYS));
    await (await startControl(home)).stop();
    writeFileSync(home.configPath, configOf(['a']));
    await withControl(home, async () => {
      const end = await connected(home);
      const { changes } = await end.take('key-changes');
      assert.deepEqual(changes, [{ hash: HASH.toString('hex'), record: null }]);
      end.close();
    });
  });

  for (const [name, content] of [
    ['is garbage', 'garbage'],
    ['is empty', ''],
  ] as const) {
    it(`whose state ${name} is written anew, with a line in the log`, async () => {
      const home = makeHome(configOf(['a']));
      writeFileSync(join(home.options.dataDirectory, DATA_FILES.state), content);
      await withControl(home, async () => {
        assert.match(home.log.join(''), /the last state is not used/);
        assert.equal(persisted(home).snapshot.groups[0]?.name, 'a');
        await Promise.resolve();
      });
    });
  }
});

describe('starting', () => {
  it('is refused with all errors and their places', async () => {
    const home = makeHome('model_list: [{model_name: a}]\nslipstream: {x: 1}\n');
    await assert.rejects(runControl(home.options), (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.lines.length, 3);
      assert.ok(
        error.lines.some((line) => line.includes('config.yaml:1:14: model_list[0].litellm_params: is missing')),
      );
      assert.ok(error.lines.some((line) => line.includes('no master key is set')));
      return true;
    });
    assert.deepEqual(readdirSync(home.options.dataDirectory), []);
    home.remove();
  });

  it('without configuration or demo is refused', async () => {
    const home = makeHome(null);
    await assert.rejects(runControl({ ...home.options, demo: null }), ConfigError);
    home.remove();
  });

  it('takes over sockets that a killed one left', async () => {
    const home = makeHome(configOf(['a']));
    for (const path of [home.options.controlSocketPath, home.options.adminSocketPath]) await leaveStaleSocket(path);
    await withControl(home, async () => (await connected(home)).close());
  });

  it('is refused while another one runs, which goes on undisturbed', async () => {
    const home = makeHome(configOf(['a']));
    await withControl(home, async () => {
      const before = readFileSync(join(home.options.dataDirectory, DATA_FILES.state));
      await assert.rejects(runControl(home.options), /another control plane is running/);
      assert.deepEqual(readFileSync(join(home.options.dataDirectory, DATA_FILES.state)), before);
      (await connected(home)).close();
    });
  });

  it('is refused where something else lies in the way', async () => {
    const home = makeHome(configOf(['a']));
    writeFileSync(home.options.controlSocketPath, 'a file');
    await assert.rejects(runControl(home.options), /is in the way: it is no socket/);
    assert.equal(readFileSync(home.options.controlSocketPath, 'utf8'), 'a file');
    home.remove();
  });

  it('leaves no socket behind when it stops', async () => {
    const home = makeHome(configOf(['a']));
    const control = await runControl(home.options);
    const end = await connected(home);
    await control.stop();
    await end.closed();
    assert.deepEqual(
      readdirSync(home.options.dataDirectory).filter((name) => name.endsWith('.sock')),
      [],
    );
    home.remove();
  });
});

/** What a killed process leaves: the socket's file, without anybody behind it. */
async function leaveStaleSocket(path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  renameSync(path, `${path}.kept`);
  await new Promise((resolve) => server.close(resolve));
  renameSync(`${path}.kept`, path);
}

describe('the demo', () => {
  it('has two models, a key of its own that stays, and no proxy between it and the mock', async () => {
    const home = makeHome(null, {
      HTTP_PROXY: 'http://proxy:1',
      LITELLM_MASTER_KEY: 'sk-of-the-machine-0123',
      SLIPSTREAM_NUM_RETRIES: '0',
    });
    let key = '';
    const first = await runControl(home.options);
    key = first.masterKey();
    await first.stop();
    assert.match(key, /^sk-demo-[\w-]{32}$/);
    assert.equal(statSync(join(home.options.dataDirectory, DATA_FILES.demoKey)).mode & 0o777, 0o600);
    await withControl(home, async (control) => {
      assert.equal(control.masterKey(), key);
      const end = SidecarEnd.hello(home.options.controlSocketPath);
      const { snapshot } = await end.take('snapshot');
      assert.deepEqual(
        snapshot.deployments.map((spec) => [
          spec.groupName,
          spec.family,
          spec.origin.host,
          spec.origin.port,
          spec.basePath,
          spec.origin.proxyUrl,
        ]),
        [
          ['mock-gpt', 'openai', '127.0.0.1', 9, '/v1', null],
          ['mock-claude', 'anthropic', '127.0.0.1', 9, '', null],
        ],
      );
      assert.equal(snapshot.settings.numRetries, 0);
      assert.doesNotMatch(home.log.join(''), new RegExp(key));
      end.close();
    });
  });
});
