import assert from 'node:assert/strict';
import { it } from 'node:test';
import { requestPieces } from './request-pieces.ts';

it('counts the characters of a text to be spoken', () => {
  assert.deepEqual(requestPieces('audio_speech', { input: 'Grüße 👋', voice: 'x' }), { characters: 7, images: 0 });
  assert.deepEqual(requestPieces('audio_speech', { input: ['no text'] }), { characters: 0, images: 0 });
});

it('counts the images that are asked for, one where nothing is said', () => {
  assert.equal(requestPieces('images_generations', { n: 3 })?.images, 3);
  for (const n of [undefined, null, 0, -1, 1.5, '2', 1e300]) {
    assert.equal(requestPieces('images_generations', { n })?.images, 1, String(n));
  }
});

it('of other requests nothing', () => {
  assert.equal(requestPieces('chat_completions', { input: 'x', n: 2 }), null);
  assert.equal(requestPieces('audio_speech', undefined), null);
  assert.equal(requestPieces('audio_speech', null), null);
});
