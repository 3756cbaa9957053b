import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { choiceFlag, integerFlag, parseCommand, renderHelp, UsageError } from './command-line.ts';
import type { CommandSpec } from './command-line.ts';

const command: CommandSpec = {
  name: 'demo',
  summary: 'Does something',
  operands: '[FILE]',
  maxOperands: 1,
  flags: {
    port: { short: 'p', value: 'PORT', help: 'Port to use', env: ['DEMO_PORT'], byDefault: '4000' },
    threads: { value: 'N', help: 'Threads', aliases: ['num_workers'] },
    quiet: { help: 'Say less' },
    secret: { help: 'For the program itself', hidden: true },
  },
  notes: ['A note.'],
};

function failure(argv: readonly string[]): string {
  let message = '';
  assert.throws(
    () => parseCommand(command, argv),
    (error) => {
      assert.ok(error instanceof UsageError);
      message = error.message;
      return true;
    },
  );
  assert.equal(message.includes('\n'), false);
  return message;
}

describe('parseCommand', () => {
  it('reads values after a space or an equals sign, short names, aliases, switches and operands', () => {
    const parsed = parseCommand(command, ['--port=1', 'file', '--num_workers', '3', '--quiet']);
    assert.deepEqual(parsed.values, { port: '1', threads: '3', quiet: true });
    assert.deepEqual(parsed.operands, ['file']);
    assert.equal(parsed.wantsHelp, false);
    assert.deepEqual(parseCommand(command, ['-p', '7']).values, { port: '7' });
    assert.deepEqual(parseCommand(command, ['-p7']).values, { port: '7' });
    assert.deepEqual(parseCommand(command, ['--port=-7']).values, { port: '-7' });
    assert.equal(parseCommand(command, ['-h']).wantsHelp, true);
    assert.deepEqual(parseCommand(command, ['--', '--port']).operands, ['--port']);
  });

  it('the last one of several wins', () => {
    assert.deepEqual(parseCommand(command, ['--port', '1', '--port', '2']).values, { port: '2' });
  });

  it('names what is wrong in one line', () => {
    assert.match(failure(['--prot', '1']), /unknown option "--prot"; did you mean --port\?/);
    assert.match(failure(['--nonsense']), /unknown option "--nonsense" \(see: slipstream demo --help\)/);
    assert.match(failure(['-x']), /unknown option "-x"/);
    assert.match(failure(['--port']), /--port needs a value \(PORT\)/);
    assert.match(failure(['--port=']), /--port needs a value/);
    assert.match(failure(['--port', '--quiet']), /--port needs a value/);
    assert.match(failure(['--quiet=yes']), /--quiet takes no value/);
    assert.match(failure(['a', 'b\nc']), /unexpected argument "b\\nc"/);
    assert.match(failure(['--__proto__']), /unknown option/);
    assert.match(failure(['--constructor', 'x']), /unknown option/);
  });

  it('checks numbers and choices', () => {
    assert.equal(integerFlag(command, { name: '--port', text: '65535' }, 0, 65_535), 65_535);
    for (const text of ['65536', '-1', '1.5', '0x10', '', ' 1', '1e3']) {
      assert.throws(() => integerFlag(command, { name: '--port', text }, 0, 65_535), /--port must be a whole number/);
    }
    assert.equal(choiceFlag(command, { name: '--log', text: 'JSON' }, ['json', 'pretty']), 'json');
    assert.throws(() => choiceFlag(command, { name: '--log', text: 'xml' }, ['json', 'pretty']), /json, pretty/);
  });
});

describe('renderHelp', () => {
  it('lists every flag but hidden ones, with default and environment', () => {
    const text = renderHelp(command);
    for (const part of [
      '--port PORT',
      '-p',
      '--threads N',
      '--num_workers',
      '--quiet',
      '--help',
      '4000',
      'DEMO_PORT',
    ]) {
      assert.ok(text.includes(part), `${part} is missing in\n${text}`);
    }
    assert.equal(text.includes('--secret'), false);
    assert.ok(text.includes('A note.'));
  });

  it('fits into 100 columns', () => {
    const long = { ...command, flags: { x: { value: 'Y', help: 'word '.repeat(60).trim() } } };
    for (const line of renderHelp(long).split('\n')) assert.ok(line.length <= 100, line);
  });
});
