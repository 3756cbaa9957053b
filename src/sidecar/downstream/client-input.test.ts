import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asBytes } from '../../base/bytes.ts';
import { ClientInput } from './client-input.ts';

const bytes = (size: number) => asBytes(Buffer.alloc(size, 97));

describe('bytes read and not worked through', () => {
  it('are read freely, then by the tick, then to be dropped', () => {
    const input = new ClientInput();
    assert.equal(input.pace, 'freely');
    input.add(bytes(64 * 1024), false);
    assert.equal(input.pace, 'freely');
    input.add(bytes(1), false);
    assert.equal(input.pace, 'by-tick');
    input.add(bytes(1024 * 1024 - 64 * 1024 - 1), false);
    assert.equal(input.pace, 'by-tick');
    input.add(bytes(1), false);
    assert.equal(input.pace, 'to-drop');
    input.at = input.bytes!.length - 10;
    assert.equal(input.pace, 'freely');
  });

  it('are kept apart from memory that is read to again', () => {
    const lent = bytes(4);
    const input = new ClientInput();
    input.add(lent, true);
    input.at = 1;
    input.keep();
    lent.fill(98);
    assert.equal(input.takeRest()?.toString(), 'aaa');
    assert.equal(input.length, 0);
  });
});
