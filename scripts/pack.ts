// Makes dist/ for the published package and the image: JavaScript with the types blanked out, at the same lines and
// columns as its source, since Node strips no types under node_modules. Run by `npm pack` and deploy/Dockerfile.
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative } from 'node:path';

const SOURCE = 'src';
const TARGET = 'dist';
const NOT_SHIPPED = /(\.test\.ts|-test-support\.ts|tsconfig\.json)$/;
/** A relative path to a .ts file in quotes: in imports, and in `new URL('./x-thread.ts', import.meta.url)`. */
const RELATIVE_TS = /(['"`])(\.\.?\/[^'"`\n]*)\.ts\1/g;

process.chdir(join(import.meta.dirname, '..'));
rmSync(TARGET, { recursive: true, force: true });

const files = globSync(`${SOURCE}/**/*`, { withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(relative('.', entry.parentPath), entry.name))
  .filter((file) => !NOT_SHIPPED.test(file));

for (const file of files) {
  const target = join(TARGET, relative(SOURCE, file));
  mkdirSync(dirname(target), { recursive: true });
  if (file.endsWith('.ts')) writeFileSync(target.replace(/\.ts$/, '.js'), toJavaScript(readFileSync(file, 'utf8')));
  else cpSync(file, target);
}

const modules = files.filter((file) => file.endsWith('.ts')).length;
process.stderr.write(`pack: ${modules} modules, ${files.length - modules} other files\n`);
if (modules === 0) process.exitCode = 1;

function toJavaScript(source: string): string {
  return stripTypeScriptTypes(source).replaceAll(RELATIVE_TS, '$1$2.js$1');
}
