import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrange, pagesOf, slotsOf, type Cause, type Roll } from './roll';

const cameras = Array.from({ length: 7 }, (_, idx) => `c${idx + 1}`);
const roll = (part: Partial<Roll> = {}): Roll => ({ cameras, n: 4, pinned: [], causes: [], page: 0, ...part });
const shown = (of: Roll, before: string[] = []) => slotsOf(of, before).map((slot) => slot.camera);
const cause = (camera: string, severity: number, untilMs = 1): Cause => ({
  kind: 'alert', camera, severity, text: '', alert: null, untilMs,
});

test('every camera rolls by, and no tile is empty on the last page', () => {
  assert.equal(pagesOf(roll()), 2);
  assert.deepEqual(shown(roll()), ['c1', 'c2', 'c3', 'c4']);
  assert.deepEqual(shown(roll({ page: 1 })), ['c5', 'c6', 'c7', 'c1']);
  assert.deepEqual(shown(roll({ page: 2 })), shown(roll()));
  assert.deepEqual(shown(roll({ page: -1 })), shown(roll({ page: 1 })));
});

test('fewer cameras than tiles are one page', () => {
  assert.deepEqual(shown(roll({ n: 16 })), cameras);
  assert.equal(pagesOf(roll({ n: 16 })), 1);
  assert.deepEqual(shown(roll({ cameras: [] })), []);
});

test('what is pinned stays while the rest rolls', () => {
  const pinned = ['c2'];
  assert.equal(pagesOf(roll({ pinned })), 2);
  assert.deepEqual(shown(roll({ pinned })), ['c2', 'c1', 'c3', 'c4']);
  assert.deepEqual(shown(roll({ pinned, page: 1 })), ['c2', 'c5', 'c6', 'c7']);
  // A camera that is gone holds no tile.
  assert.deepEqual(shown(roll({ pinned: ['gone'] })), shown(roll()));
});

test('a door where something happens takes the tile of one that rolls by, never of a pinned one', () => {
  const slots = slotsOf(roll({ pinned: ['c1'], causes: [cause('c7', 2)] }), []);
  assert.deepEqual(slots.map((slot) => slot.camera), ['c1', 'c2', 'c3', 'c7']);
  assert.equal(slots[3]?.cause?.severity, 2);
  const full = roll({ n: 2, pinned: ['c1', 'c2'], causes: [cause('c7', 1)] });
  assert.deepEqual(shown(full), ['c1', 'c2']);
});

test('with more doors than tiles the most severe are shown', () => {
  const causes = [cause('c5', 3), cause('c6', 1), cause('c7', 2)];
  assert.deepEqual(shown(roll({ n: 1, causes })), ['c6']);
  assert.deepEqual(shown(roll({ n: 2, causes })).sort(), ['c6', 'c7']);
});

test('a camera that stays keeps its place', () => {
  const before = ['c1', 'c2', 'c3', 'c4'];
  assert.deepEqual(shown(roll({ causes: [cause('c6', 2)] }), before), ['c1', 'c2', 'c3', 'c6']);
  assert.deepEqual(arrange(['c9', 'c3', 'c1'], ['c1', 'c2', 'c3']), ['c1', 'c9', 'c3']);
});
