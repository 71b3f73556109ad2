import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clock } from './clock';

test('the least late of what the gateway told is taken, whatever this computer believes', () => {
  const truth = 4_102_444_800_000;
  const at = performance.now();
  // Each sample is late by its way here.
  clock.heard(truth - 80);
  clock.heard(truth - 5);
  clock.heard(truth - 40);
  clock.heard(Number.NaN);
  const now = clock.now() - (performance.now() - at);
  assert.ok(now <= truth + 1 && now > truth - 30, `${now - truth} ms`);
});
