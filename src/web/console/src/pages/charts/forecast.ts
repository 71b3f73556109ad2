// The disk from its past into the days to come, at the present rate. Pure.

import type { Stored } from './options';
import type { Storage } from './system-charts';

/** Days looked ahead, at most. */
const AHEAD_DAYS_MAX = 30;
const DAY_MS = 86_400_000;

export function forecast(storage: Storage): Stored[] {
  const past: Stored[] = storage.history.map((one) => ({ day: one.day, bytes: one.bytes, forecast: null }));
  const last = past.at(-1);
  if (!last || storage.bytes_per_day === null) return past;
  // The line of days to come begins where that of the past ends.
  last.forecast = last.bytes;
  const most = storage.footage_bytes + storage.free_bytes;
  // What is older than the retention goes: by then the disk stays as it is.
  const steady = storage.bytes_per_day * storage.retention_days;
  const start = last.bytes ?? 0;
  const coming: Stored[] = [];
  for (let n = 1; n <= AHEAD_DAYS_MAX; n += 1) {
    const grown = start + n * storage.bytes_per_day;
    const kept = Math.min(grown, Math.max(steady, start), most);
    coming.push({
      day: new Date(Date.parse(`${last.day}T00:00:00Z`) + n * DAY_MS).toISOString().slice(0, 10),
      bytes: null,
      forecast: kept,
    });
  }
  return [...past, ...coming];
}
