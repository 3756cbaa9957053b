import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { it } from 'node:test';

const SOURCE = `
  import { handleSignals } from ${JSON.stringify(new URL('shutdown.ts', import.meta.url).href)};
  handleSignals({
    onStop: (signal) => console.log('stop ' + signal),
    onForce: (signal) => { console.log('force ' + signal); process.exit(0); },
    onReload: () => console.log('reload'),
  });
  setInterval(() => {}, 1000);
  console.log('up');`;

it('one stop for two signals in a second, force for a later one, reload for SIGHUP', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', SOURCE], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const said = async (line: string): Promise<void> => {
    while (!output.includes(line)) await once(child.stdout, 'data');
  };
  await said('up');
  child.kill('SIGHUP');
  await said('reload');
  child.kill('SIGINT');
  await said('stop SIGINT');
  child.kill('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 1100));
  assert.equal(output, 'up\nreload\nstop SIGINT\n');
  child.kill('SIGTERM');
  await once(child, 'exit');
  assert.equal(output, 'up\nreload\nstop SIGINT\nforce SIGTERM\n');
});
