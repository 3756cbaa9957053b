import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { loadOrCreateSealKey, readSealedFile, SealError, writeFileAtomically, writeSealedFile } from './sealed-file.ts';

describe('sealed file', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sealed-'));
  after(() => rmSync(directory, { recursive: true }));
  const path = (name: string): string => join(directory, name);
  const key = loadOrCreateSealKey(path('seal.key'));

  it('keeps one key, 0600, 32 bytes', () => {
    assert.deepEqual(loadOrCreateSealKey(path('seal.key')), key);
    assert.equal(key.length, 32);
    assert.equal(statSync(path('seal.key')).mode & 0o777, 0o600);
  });

  it('opens what it sealed, 0600, not readable as it lies there', () => {
    writeSealedFile(path('a'), Buffer.from('sk-secret'), key);
    assert.equal(readSealedFile(path('a'), key)?.toString(), 'sk-secret');
    assert.equal(statSync(path('a')).mode & 0o777, 0o600);
    assert.ok(!readFileSync(path('a')).includes('secret'));
  });

  it('never seals twice alike', () => {
    writeSealedFile(path('a'), Buffer.from('same'), key);
    const first = readFileSync(path('a'));
    writeSealedFile(path('a'), Buffer.from('same'), key);
    assert.notDeepEqual(readFileSync(path('a')), first);
  });

  it('answers null for a file that is not there', () => {
    assert.equal(readSealedFile(path('none'), key), null);
  });

  it('refuses a file with any one byte changed, or cut short anywhere', () => {
    writeSealedFile(path('a'), Buffer.from('secret'), key);
    const sealed = readFileSync(path('a'));
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      writeFileSync(path('a'), changed);
      assert.throws(() => readSealedFile(path('a'), key), SealError, `byte ${at}`);
      writeFileSync(path('a'), sealed.subarray(0, at));
      assert.throws(() => readSealedFile(path('a'), key), SealError, `cut at ${at}`);
    }
  });

  it('refuses another key, and a sealed file under another name', () => {
    writeSealedFile(path('a'), Buffer.from('secret'), key);
    assert.throws(() => readSealedFile(path('a'), Buffer.alloc(32)), SealError);
    copyFileSync(path('a'), path('b'));
    assert.throws(() => readSealedFile(path('b'), key), SealError);
  });

  it('refuses a key file of another length', () => {
    writeFileSync(path('short.key'), 'abc');
    assert.throws(() => loadOrCreateSealKey(path('short.key')), SealError);
  });

  it('leaves no temporary file', () => {
    writeFileAtomically(path('c'), Buffer.from('1'));
    writeFileAtomically(path('c'), Buffer.from('2'));
    assert.equal(readFileSync(path('c'), 'utf8'), '2');
    assert.deepEqual(
      readdirSync(directory).filter((name) => name.endsWith('.tmp')),
      [],
    );
  });
});
