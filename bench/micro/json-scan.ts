// Nanoseconds per byte of the top-level scan of a request body, on the inputs named in docs and on the worst known ones.
//   node bin/slipstream.js node -- bench/micro/json-scan.ts
import { asBytes, type Bytes } from '../../src/base/bytes.ts';
import { JsonObjectScanner } from '../../src/base/json-object-scanner.ts';
import { REQUEST_KEYS } from '../../src/domain/request/request-fields.ts';

const SIZE = 393_000;
const ROUNDS = 15;

const WORDS =
  'the gateway reads what it must and passes on the rest so that nobody waits for it while a long text flows'.split(
    ' ',
  );

function prose(length: number, speech: string): string {
  const parts: string[] = [];
  let size = 0;
  for (let n = 0; size < length; n += 1) {
    const word = WORDS[(n * 7) % WORDS.length] ?? '';
    const glue = n % 97 === 96 ? '\n\n' : n % 13 === 12 ? speech : ' ';
    parts.push(word, glue);
    size += word.length + glue.length;
  }
  return parts.join('');
}

function chat(content: unknown): string {
  return JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content }], stream: true, max_tokens: 100 });
}

function filled(unit: string): string {
  return unit.repeat(Math.ceil(SIZE / unit.length));
}

function toolResult(): string {
  const rows: unknown[] = [];
  for (let n = 0; JSON.stringify(rows).length < SIZE * 0.8; n += 40) {
    for (let k = 0; k < 40; k += 1)
      rows.push({ id: n + k, path: `src/a${k}.ts`, ok: true, tags: ['a', 'b'], size: k * 31 });
  }
  return chat(JSON.stringify(rows));
}

const quoteEvery = (distance: number): string => chat(filled(`"${'x'.repeat(distance - 2)}`));

const inputs: Record<string, string> = {
  prose: chat(prose(SIZE, ', ')),
  'prose with quotes every 80 bytes': chat(prose(SIZE, ', "then" ')),
  'JSON in a string (tool result)': toolResult(),
  'JSON in JSON in a string': chat(JSON.stringify(JSON.stringify([{ a: 'b', c: ['d'] }]).repeat(6000))),
  'only escaped quotes': chat(filled('"')),
  'only backslashes': chat(filled('\\')),
  'escaped quote every 50 bytes': quoteEvery(50),
  'escaped quote every 60 bytes': quoteEvery(60),
  'nested arrays, 500 deep': `{"model":"m","input":[${filled(`${'['.repeat(500)}${']'.repeat(500)},`)}0]}`,
  'many tiny strings': `{"model":"m","input":[${filled('"a",')}"b"]}`,
  'many empty strings': `{"model":"m","input":[${filled('"",')}"b"]}`,
  'strings of 49 bytes': `{"model":"m","input":[${filled(`"${'x'.repeat(49)}",`)}"b"]}`,
  'many top-level members': `{"model":"m",${filled('"a":1,')}"b":2}`,
  'top-level keys that almost match': `{"model":"m",${filled('"modem":"","mode1":"",')}"b":2}`,
  integers: `{"model":"m","input":[${filled('123456,')}1]}`,
  'pretty printed': JSON.stringify(
    { model: 'm', tools: JSON.parse(`[${filled('{"name":"x","parameters":{"type":"object"}},')}1]`) },
    null,
    2,
  ),
};

function scanOnce(scanner: JsonObjectScanner, bytes: Bytes, step: number): void {
  scanner.reset();
  for (let start = 0; start < bytes.length; start += step) {
    scanner.push(bytes, start, Math.min(start + step, bytes.length));
  }
  scanner.finish();
}

function nanosecondsPerByte(bytes: Bytes, step: number): number {
  const scanner = new JsonObjectScanner(REQUEST_KEYS);
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const startedAt = process.hrtime.bigint();
    scanOnce(scanner, bytes, step);
    rounds.push(Number(process.hrtime.bigint() - startedAt) / bytes.length);
  }
  if (!scanner.complete) throw new Error(`not scanned: ${JSON.stringify(scanner.failure)}`);
  return rounds.sort((a, b) => a - b)[ROUNDS >> 1] ?? 0;
}

console.log(`ns per byte, median of ${ROUNDS}; whole body, then in reads of 64 KiB, then byte by byte`);
for (const [name, text] of Object.entries(inputs)) {
  const bytes = asBytes(Buffer.from(text));
  const figures = [bytes.length, 65_536, 1].map((step) => nanosecondsPerByte(bytes, step).toFixed(3).padStart(8));
  const parseStartedAt = process.hrtime.bigint();
  JSON.parse(text);
  const parse = Number(process.hrtime.bigint() - parseStartedAt) / bytes.length;
  console.log(`${name.padEnd(36)} ${figures.join(' ')}   JSON.parse once ${parse.toFixed(2)}   ${bytes.length} bytes`);
}
const small = asBytes(Buffer.from(chat('x'.repeat(200))));
console.log(
  `small request of ${small.length} bytes: ${(nanosecondsPerByte(small, small.length) * small.length).toFixed(0)} ns`,
);
