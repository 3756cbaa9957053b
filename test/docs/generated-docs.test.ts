import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { renderConfig } from '../../scripts/docs/render-config.ts';
import { renderErrors } from '../../scripts/docs/render-errors.ts';
import { renderTimeouts } from '../../scripts/docs/render-timeouts.ts';
import { timeoutKey } from '../../src/control/config/timeout-settings.ts';
import { SETTING_LEAVES } from '../../src/control/config/resolve-settings.ts';
import { TIMEOUTS, type TimeoutName } from '../../src/contract/timeouts.ts';
import { ERROR_TABLE } from '../../src/domain/errors/error-table.ts';

const DOCS = join(import.meta.dirname, '../../docs');

describe('generated documents', () => {
  for (const [name, render] of [
    ['config.md', renderConfig],
    ['errors.md', renderErrors],
    ['timeouts.md', renderTimeouts],
  ] as const) {
    it(`${name} is what its source makes (else: npm run fix)`, () => {
      assert.equal(readFileSync(join(DOCS, name), 'utf8'), render());
    });
  }

  it('say every setting, timeout and error', () => {
    const config = renderConfig();
    for (const { path, meta } of SETTING_LEAVES) {
      assert.ok(config.includes(`\n| \`${path.join('.')}\` |`), path.join('.'));
      assert.ok(meta.description.length > 10);
    }
    for (const name of Object.keys(TIMEOUTS) as TimeoutName[])
      assert.ok(renderTimeouts().includes(`\n| \`${timeoutKey(name)}\` |`));
    for (const name of Object.keys(ERROR_TABLE)) assert.ok(renderErrors().includes(`\n| \`${name}\` |`));
  });

  it('do not depend on the machine', () => {
    assert.ok(SETTING_LEAVES.find(({ path }) => path[0] === 'threads')?.meta.defaultNote);
  });

  it('have a default for every setting that its own schema takes', () => {
    for (const { path, schema, meta } of SETTING_LEAVES) {
      if (meta.default !== null) assert.ok(schema.safeParse(meta.default).success, path.join('.'));
    }
  });
});
