import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { createLogger } from './logger.ts';
import type { LogFormat, Logger, LogLevel } from './logger.ts';

function collect(format: LogFormat, level: LogLevel = 'debug'): { lines: string[]; logger: Logger } {
  const lines: string[] = [];
  return { lines, logger: createLogger({ level, format, name: 'unit', write: (line) => lines.push(line) }) };
}

function parse(line: string | undefined): Record<string, unknown> {
  assert.ok(line !== undefined);
  return JSON.parse(line) as Record<string, unknown>;
}

describe('logger', () => {
  it('writes one JSON object per line', () => {
    const { lines, logger } = collect('json');
    logger.info('started', { port: 4000 });
    logger.error('broken\nline', { why: 'a "quote"' });
    assert.equal(lines.length, 2);
    for (const line of lines) assert.equal(line.indexOf('\n'), line.length - 1);
    const { time, ...first } = parse(lines[0]);
    assert.ok(!Number.isNaN(Date.parse(String(time))));
    assert.deepEqual(first, { level: 'info', name: 'unit', message: 'started', port: 4000 });
    assert.equal(parse(lines[1])['message'], 'broken\nline');
  });

  it('drops records below its level', () => {
    const { lines, logger } = collect('json', 'warn');
    logger.debug('a');
    logger.info('b');
    logger.warn('c');
    logger.error('d');
    assert.deepEqual(
      lines.map((line) => parse(line)['message']),
      ['c', 'd'],
    );
  });

  it('binds fields to a child, over several generations, without touching the parent', () => {
    const { lines, logger } = collect('json');
    logger.child({ worker: 1 }).child({ port: 2 }).info('deep');
    logger.info('shallow');
    assert.equal(parse(lines[0])['worker'], 1);
    assert.equal(parse(lines[0])['port'], 2);
    assert.equal('worker' in parse(lines[1]), false);
  });

  it('does not let a field stand in for the record itself', () => {
    const { lines, logger } = collect('json');
    logger.info('true message', { level: 'error', message: 'forged', name: 'other' });
    const record = parse(lines[0]);
    assert.equal(record['level'], 'info');
    assert.equal(record['message'], 'true message');
    assert.equal(record['name'], 'unit');
    assert.equal(record['field_level'], 'error');
  });

  it('writes errors with code and cause, bigints, and survives cycles', () => {
    const { lines, logger } = collect('json');
    const error = Object.assign(new Error('outer', { cause: new Error('inner') }), { code: 'E_TEST' });
    logger.error('failed', { error, big: 10n });
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    logger.info('cycle', { cycle });
    const record = parse(lines[0]);
    const described = record['error'] as Record<string, unknown>;
    assert.equal(described['message'], 'outer');
    assert.equal(described['code'], 'E_TEST');
    assert.equal((described['cause'] as Record<string, unknown>)['message'], 'inner');
    assert.equal(record['big'], '10');
    assert.match(String(parse(lines[1])['message']), /could not be serialised/);
  });

  it('pretty output cannot be made to forge lines or drive the terminal', () => {
    const { lines, logger } = collect('pretty');
    logger.info('a\nb\u001b[2J', { key: 'c\nd\u009b2J' });
    assert.equal(lines[0]?.indexOf('\n'), (lines[0]?.length ?? 0) - 1);
    assert.equal(lines[0]?.includes('\u001b[2J'), false);
    assert.equal(lines[0]?.includes('\u009b'), false);
    assert.match(lines[0] ?? '', /a\\nb/);
  });

  it('goes to standard error, and a reader that has gone does not end the process', () => {
    const source = `
      import { createLogger } from ${JSON.stringify(new URL('logger.ts', import.meta.url).href)};
      createLogger({ level: 'info', format: 'json', name: 'child' }).info('said');
      process.stdout.write('alive');`;
    const open = spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' });
    assert.equal(open.stdout, 'alive');
    assert.equal(parse(open.stderr)['message'], 'said');
    const shut = spawnSync('sh', ['-c', 'exec "$0" --input-type=module -e "$1" 2>&-', process.execPath, source], {
      encoding: 'utf8',
    });
    assert.equal(shut.stdout, 'alive');
    assert.equal(shut.status, 0);
  });

  it('a reader that stops reading costs records, not the process; one that reads on gets whole lines', async (t) => {
    // Opening process.stderr makes the pipe non-blocking, as in the gateway's processes.
    const source = `
      import { createLogger } from ${JSON.stringify(new URL('logger.ts', import.meta.url).href)};
      process.stderr._handle?.setBlocking?.(false);
      const logger = createLogger({ level: 'info', format: 'json', name: 'child' });
      for (let i = 0; i < 300; i++) logger.info('x'.repeat(3000), { i });
      process.stdout.write('alive');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'pipe'] });
    t.after(() => child.kill('SIGKILL'));
    // 300 lines are far more than a pipe holds, and nobody reads standard error yet.
    const [alive] = (await once(child.stdout, 'data')) as [Buffer];
    assert.equal(alive.toString(), 'alive');
    let text = '';
    for await (const chunk of child.stderr) text += String(chunk);
    const lines = text.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
    assert.ok(lines.length > 5);
    for (const line of lines) assert.equal(typeof parse(line)['i'], 'number');
  });
});
