import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nodeAt, positionAt, toPublic, toTexts } from './config-node.ts';
import { Findings, formatFinding } from './findings.ts';
import { readYaml } from './yaml-reader.ts';

function read(text: string): { value: unknown; findings: string[] } {
  const findings = new Findings();
  const node = readYaml(text, 'f.yaml', findings);
  return { value: node === null ? null : toPublic(node), findings: findings.all.map(formatFinding) };
}

describe('YAML reader', () => {
  const documents: readonly (readonly [name: string, text: string, value: unknown])[] = [
    ['nothing', '', null],
    ['only a comment', '# x\n', null],
    ['null', 'null', null],
    ['a byte order mark', '\ufeffa: 1', { a: 1 }],
    ['a version directive', '%YAML 1.1\n---\na: 0o7', { a: '0o7' }],
    ['keys y and n', 'y: 1\nn: 2', { y: 1, n: 2 }],
    ['keys that look like booleans and numbers', 'on: 1\n4: 2\nnull: 3', { on: 1, 4: 2, null: 3 }],
    ['quoted words', `a: "yes"\nb: 'null'\nc: "012"\nd: "x\\ty"`, { a: 'yes', b: 'null', c: '012', d: 'x\ty' }],
    ['block scalars', 'a: |\n  yes\nb: >-\n  x\n  y\n', { a: 'yes\n', b: 'x y' }],
    ['explicit tags', 'a: !!str 12\nb: !!int "3"\nc: !!float "1.5"\nd: ! yes', { a: '12', b: 3, c: 1.5, d: 'yes' }],
    ['an anchor', 'a: &x {b: 1}\nc: *x', { a: { b: 1 }, c: { b: 1 } }],
    ['a merge, own keys winning', 'a: &x {b: 1, c: 2}\nd:\n  c: 3\n  <<: *x', { a: { b: 1, c: 2 }, d: { b: 1, c: 3 } }],
    [
      'a merge of several, the first winning',
      'a: &x {k: 1}\nb: &y {k: 2, l: 2}\nc: {<<: [*x, *y]}',
      { a: { k: 1 }, b: { k: 2, l: 2 }, c: { k: 1, l: 2 } },
    ],
    ['a quoted merge key, which is a key', 'a: {"<<": 1}', { a: { '<<': 1 } }],
    ['a key called __proto__', '{"__proto__": 1}', JSON.parse('{"__proto__": 1}')],
  ];
  for (const [name, text, value] of documents) {
    it(`reads ${name}`, () => assert.deepEqual(read(text), { value, findings: [] }));
  }

  it('keeps the last of keys that stand twice, and says where', () => {
    assert.deepEqual(read('a: 1\nb: 2\na: 3'), {
      value: { a: 3, b: 2 },
      findings: ['f.yaml:3:1: a: this key stands here twice: the last one counts'],
    });
  });

  const faulty: readonly (readonly [name: string, text: string, finding: RegExp])[] = [
    ['a bracket that is not closed', 'a: [1,\nb: 2', /^f\.yaml:2:\d+: /],
    ['a tab as indentation', 'a:\n\t- b', /^f\.yaml:2:1: tabs cannot indent/],
    ['a quote that is not closed', 'a: "sk-secret', /^f\.yaml:1:\d+: a closing quote/],
    ['a map within a line', 'a: sk-secret: c', /^f\.yaml:1:4: a mapping inside a mapping/],
    ['a template left in', '{{ x }}: 1', /^f\.yaml:1:1: a key must be a string/],
    ['an unknown alias', 'a: *secret', /^f\.yaml:1:4: this alias has no anchor/],
    ['an alias that contains itself', 'a: &a [*a]', /contains itself/],
    ['two documents', 'a: 1\n---\nb: 2', /more than one document/],
    ['a tag of one’s own', 'a: !secret x', /^f\.yaml:1:\d+: this tag is not supported/],
    ['a set', 'a: !!set {b}', /this tag is not supported/],
    ['a merge of a text', 'a: {<<: x}', /only a map/],
    ['a reserved character', 'a: @secret', /quote it/],
    ['an unknown escape', 'a: "\\qsecret"', /unknown escape/],
    ['deep nesting', '['.repeat(100) + ']'.repeat(100), /too deeply nested/],
  ];
  for (const [name, text, finding] of faulty) {
    it(`refuses ${name}, quoting nothing of it`, () => {
      const { value, findings } = read(text);
      assert.equal(value, null);
      assert.match(findings[0] ?? '', finding);
      assert.doesNotMatch(findings.join(), /secret/);
    });
  }

  it('takes nested aliases for what they are, not for what they expand to', () => {
    let text = 'a0: &a0 [x]\n';
    for (let level = 1; level < 40; level++) text += `a${level}: &a${level} [*a${level - 1}, *a${level - 1}]\n`;
    const findings = new Findings();
    assert.ok(readYaml(text, 'f.yaml', findings));
  });

  it('knows where things stand, and the nearest place of what is missing', () => {
    const node = readYaml('a:\n  - b: 1\n  - c:\n      d: 2\n', 'f', new Findings());
    const at = (path: (string | number)[]): string => {
      const position = positionAt(node, path);
      return `${position?.line}:${position?.column}`;
    };
    assert.equal(at(['a', 1, 'c', 'd']), '4:7');
    assert.equal(at(['a', 1, 'c', 'x']), '3:5');
    assert.equal(at(['a', 0]), '2:5');
    assert.equal(at(['a', 7, 'x']), '1:1');
    assert.equal(at(['z']), '1:1');
  });

  it('hands schemas the text as written, and leaves null out', () => {
    const node = readYaml('a: 012\nb: 4.10\nc: ~\nd: [1e-6, null, yes]\n', 'f', new Findings());
    assert.ok(node);
    assert.deepEqual(toTexts(node), { a: '012', b: '4.10', d: ['1e-6', 'yes'] });
    assert.equal(nodeAt(node, ['c']), null);
  });
});
