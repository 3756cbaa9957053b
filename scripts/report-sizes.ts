// One line on file sizes (style habit 4). Lint refuses more than 600 lines; from 400 on a file is named here.
import { globSync, readFileSync } from 'node:fs';

const WARN_LINES = 400;

const files = globSync('src/**/*.ts').filter((file) => !file.endsWith('.test.ts'));
if (files.length === 0) {
  process.stderr.write('report-sizes: no source file found\n');
  process.exit(1);
}

const sizes = files
  .map((file) => ({ file, lines: readFileSync(file, 'utf8').split('\n').length - 1 }))
  .sort((a, b) => a.lines - b.lines);
const median = sizes[Math.floor(sizes.length / 2)]?.lines ?? 0;
const total = sizes.reduce((sum, { lines }) => sum + lines, 0);
process.stdout.write(`sizes: ${sizes.length} files, ${total} lines, median ${median}, most ${sizes.at(-1)?.lines}\n`);
for (const { file, lines } of sizes) {
  if (lines > WARN_LINES) process.stdout.write(`sizes: warning: ${file} has ${lines} lines\n`);
}
