import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dayStart, spanOf } from './spans';

test('a span is said in its two largest units', () => {
  assert.equal(spanOf(0, 'en', 'none'), '0 ms');
  assert.equal(spanOf(200_400, 'zh', ''), '3 分 20 秒');
  assert.equal(spanOf(-120, 'zh', ''), '−120 毫秒');
  assert.equal(spanOf(90_000_000, 'en', ''), '1 d 1 h');
  assert.equal(spanOf(3_600_000, 'en', ''), '1 h');
  assert.equal(spanOf(null, 'en', 'none'), 'none');
});

test('a day begins by the calendar of its zone, also when clocks change', () => {
  assert.equal(dayStart('2026-11-25', 'Asia/Shanghai'), '2026-11-24T16:00:00.000Z');
  assert.equal(dayStart('2026-03-29', 'Europe/Berlin'), '2026-03-28T23:00:00.000Z');
  assert.equal(dayStart('2026-03-30', 'Europe/Berlin'), '2026-03-29T22:00:00.000Z');
  assert.equal(dayStart('2026-10-25', 'Europe/Berlin'), '2026-10-24T22:00:00.000Z');
  assert.equal(dayStart('2026-10-26', 'Europe/Berlin'), '2026-10-25T23:00:00.000Z');
});
