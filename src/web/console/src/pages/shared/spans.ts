// Spans of time in words, and days of a calendar as instants. Pure.

import type { Language } from '../../i18n';

/** Names of the units, from days to milliseconds. */
const UNITS: Record<Language, [string, string, string, string, string]> = {
  zh: [' 天', ' 小时', ' 分', ' 秒', ' 毫秒'],
  en: [' d', ' h', ' min', ' s', ' ms'],
};
const SIZES_MS = [86_400_000, 3_600_000, 60_000, 1_000];

/** The two largest units of a span; milliseconds below a second. */
export function spanOf(ms: number | null | undefined, language: Language, none: string): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return none;
  const units = UNITS[language];
  const sign = ms < 0 ? '−' : '';
  const whole = Math.abs(ms);
  if (whole < 1_000) return `${sign}${Math.round(whole)}${units[4]}`;
  const parts: string[] = [];
  let rest = whole;
  const first = SIZES_MS.findIndex((size) => whole >= size);
  for (const [idx, size] of SIZES_MS.entries()) {
    if (idx < first || idx > first + 1) continue;
    const value = Math.floor(rest / size);
    rest -= value * size;
    if (value > 0) parts.push(`${value}${units[idx] ?? ''}`);
  }
  return sign + parts.join(' ');
}

/** The instant of a day's beginning (or the next day's) in `zone`, as RFC 3339. */
export function dayStart(day: string, zone: string): string {
  const guess = Date.parse(`${day}T00:00:00Z`);
  const offset = offsetOf(guess, zone);
  // Once more with the offset of that moment, for the days on which clocks change.
  const at = guess - offsetOf(guess - offset, zone);
  return new Date(at).toISOString();
}

function offsetOf(ms: number, zone: string): number {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(ms);
  const of = (type: string) => Number(parts.find((part) => part.type === type)?.value);
  const local = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
  return local - Math.floor(ms / 1_000) * 1_000;
}
