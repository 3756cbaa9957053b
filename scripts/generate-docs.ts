// Writes the documents that are made from tables and schemas; with --check it only says which are out of date.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { renderCli } from './docs/render-cli.ts';
import { renderConfig } from './docs/render-config.ts';
import { renderErrors } from './docs/render-errors.ts';
import { renderHttp1 } from './docs/render-http1.ts';
import { renderOpenApi } from './docs/render-openapi.ts';
import { renderTimeouts } from './docs/render-timeouts.ts';

const ROOT = join(import.meta.dirname, '..');

const DOCUMENTS: Readonly<Record<string, () => string>> = {
  'docs/cli.md': renderCli,
  'docs/config.md': renderConfig,
  'docs/errors.md': renderErrors,
  'docs/http1.md': renderHttp1,
  'docs/openapi.json': renderOpenApi,
  'docs/timeouts.md': renderTimeouts,
};

const checksOnly = process.argv.includes('--check');
for (const [path, render] of Object.entries(DOCUMENTS)) {
  const absolute = join(ROOT, path);
  const wanted = render();
  if (read(absolute) === wanted) continue;
  if (checksOnly) {
    process.stdout.write(`${path} is out of date: npm run fix\n`);
    process.exitCode = 1;
  } else {
    mkdirSync(dirname(absolute), { recursive: true });
    writeFileSync(absolute, wanted);
    process.stdout.write(`${path} written\n`);
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
