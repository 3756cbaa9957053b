import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ArrivalRush } from './arrival-rush.ts';

function arrive(rush: ArrivalRush, count: number): void {
  for (let left = count; left > 0; left -= 1) rush.onArrival();
}

it('a rush of connections is 300 in a second, begins with a tick and lasts for a second after the last such tick', () => {
  const rush = new ArrivalRush(0);
  arrive(rush, 29);
  rush.onTick(100);
  assert.equal(rush.isOn, false);
  arrive(rush, 30);
  rush.onTick(200);
  assert.equal(rush.isOn, true);
  // A tick that was late has more of them behind it.
  arrive(rush, 30);
  rush.onTick(500);
  assert.equal(rush.isOn, true);
  rush.onTick(1199);
  assert.equal(rush.isOn, true);
  rush.onTick(1200);
  assert.equal(rush.isOn, false);
});

it('a few connections between two ticks that follow one another closely are no rush', () => {
  const rush = new ArrivalRush(0);
  arrive(rush, 20);
  rush.onTick(1);
  assert.equal(rush.isOn, false);
});

it('a newcomer hears of the next turn after the sockets have been looked at once more, each once', async () => {
  const rush = new ArrivalRush(0);
  const heard: string[] = [];
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  rush.wait({ onNextTurn: () => heard.push('a') });
  rush.wait({ onNextTurn: () => heard.push('b') });
  await turn();
  assert.equal(heard.length, 0);
  rush.wait({ onNextTurn: () => heard.push('c') });
  await turn();
  assert.deepEqual(heard, ['a', 'b']);
  await turn();
  assert.deepEqual(heard, ['a', 'b', 'c']);
});
