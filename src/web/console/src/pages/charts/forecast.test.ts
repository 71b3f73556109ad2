import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forecast } from './forecast';

const DISK = {
  footage_bytes: 100,
  free_bytes: 900,
  capacity_bytes: 1_000,
  bytes_per_day: 100,
  retention_days: 5,
  days_until_floor: null,
  history: [
    { day: '2026-11-24', bytes: 0 },
    { day: '2026-11-25', bytes: 100 },
  ],
};

test('the disk grows by a day a day until what is too old goes', () => {
  const rows = forecast(DISK);
  assert.deepEqual(rows.slice(0, 3), [
    { day: '2026-11-24', bytes: 0, forecast: null },
    { day: '2026-11-25', bytes: 100, forecast: 100 },
    { day: '2026-11-26', bytes: null, forecast: 200 },
  ]);
  assert.equal(rows.at(-1)?.forecast, 500);
  assert.equal(rows.length, 32);
});

test('no disk holds more than it can', () => {
  const rows = forecast({ ...DISK, retention_days: 30, free_bytes: 300 });
  assert.equal(Math.max(...rows.map((one) => one.forecast ?? 0)), 400);
});

test('without a rate there is no forecast', () => {
  assert.equal(forecast({ ...DISK, bytes_per_day: null }).length, 2);
  assert.deepEqual(forecast({ ...DISK, history: [] }), []);
});
