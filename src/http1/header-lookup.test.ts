import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HEADER_FAMILIES, HEADER_NAMES, HeaderId } from './header-id.ts';
import { lookUpHeader } from './header-lookup.ts';

function idOf(name: string): number {
  const bytes = Buffer.from(`..${name}..`, 'latin1');
  return lookUpHeader(bytes, 2, 2 + name.length);
}

const KNOWN = HEADER_NAMES.entries()
  .filter(([, name]) => name !== '')
  .toArray();
const TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".split('');

describe('header look-up', () => {
  it('has an id of its own for each name', () => {
    const ids = Object.values(HeaderId);
    assert.equal(new Set(ids).size, ids.length);
    assert.equal(new Set(HEADER_NAMES.filter((name) => name !== '')).size, KNOWN.length);
    assert.equal(HEADER_NAMES[HeaderId.XGoogApiKey], 'x-goog-api-key');
    assert.equal(HEADER_NAMES[HeaderId.OcpApimSubscriptionKey], 'ocp-apim-subscription-key');
    assert.equal(HEADER_NAMES[HeaderId.Te], 'te');
    assert.equal(HEADER_NAMES[HeaderId.SecWebsocketProtocol], 'sec-websocket-protocol');
    assert.equal(HEADER_NAMES[HeaderId.XLitellm], '');
  });

  it('finds every known name in any case', () => {
    for (const [id, name] of KNOWN) {
      assert.equal(idOf(name), id, name);
      assert.equal(idOf(name.toUpperCase()), id, name);
      assert.equal(idOf(name.replace(/[a-z]/g, (letter, at) => (at % 2 === 0 ? letter.toUpperCase() : letter))), id);
    }
  });

  it('finds no known name with one character changed, added or missing', () => {
    for (const [id, name] of KNOWN) {
      for (let at = 0; at < name.length; at++) {
        const before = name.slice(0, at);
        for (const character of TOKEN_CHARACTERS) {
          if (character.toLowerCase() !== name[at]) assert.notEqual(idOf(before + character + name.slice(at + 1)), id);
          if (HEADER_NAMES.indexOf(before + character + name.slice(at)) === -1) {
            assert.notEqual(idOf(before + character + name.slice(at)), id);
          }
        }
        const shorter = before + name.slice(at + 1);
        if (shorter !== '') assert.notEqual(idOf(shorter), id);
      }
    }
  });

  it('gives families their id, known names of a family their own', () => {
    for (const [prefix, id] of HEADER_FAMILIES) {
      assert.equal(idOf(`${prefix}zzz`), id);
      assert.equal(idOf(`${prefix}zzz`.toUpperCase()), id);
    }
    assert.equal(idOf('x-litellm-api-key'), HeaderId.XLitellmApiKey);
    assert.equal(idOf('x-litellm-timeout'), HeaderId.XLitellm);
    assert.equal(idOf('x-litellm'), HeaderId.XOther);
    assert.equal(idOf('x-request-id'), HeaderId.XRequestId);
    assert.equal(idOf('x-ratelimit-remaining-tokens'), HeaderId.XRatelimit);
    assert.equal(idOf('x-'), HeaderId.Unknown);
    assert.equal(idOf('x'), HeaderId.Unknown);
    assert.equal(idOf('xx-litellm-a'), HeaderId.Unknown);
    assert.equal(idOf('a'), HeaderId.Unknown);
    assert.equal(idOf('anthropic-beta'), HeaderId.AnthropicBeta);
  });
});
