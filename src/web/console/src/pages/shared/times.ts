// Moments and spans of time for people: in the compound's calendar and the reader's language.

import { useMemo } from 'react';
import { type Language, useLanguage, useText } from '../../i18n';
import { useMe } from '../../session';

/** Where the gateway does not say in which calendar the compound lives. */
const ZONE_DEFAULT = 'Asia/Shanghai';

export interface Times {
  zone: string;
  /** `2026-11-25 22:41`; a dash for none. */
  minute: (at: string | null | undefined) => string;
  /** With seconds. */
  second: (at: string | null | undefined) => string;
  day: (at: string | null | undefined) => string;
  /** `3 分 20 秒` */
  span: (ms: number | null | undefined) => string;
}

export function useTimes(): Times {
  const zone = useMe().compound.time_zone ?? ZONE_DEFAULT;
  const language = useLanguage();
  const t = useText();
  return useMemo(() => {
    const minute = formatter(zone, { hour: '2-digit', minute: '2-digit' });
    const second = formatter(zone, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
    const day = formatter(zone, {});
    return { zone, minute, second, day, span: (ms) => spanOf(ms, language, t('common.none')) };
  }, [zone, language, t]);
}

function formatter(zone: string, more: Intl.DateTimeFormatOptions) {
  // Sweden writes a day as ISO 8601 does, which sorts and which both languages read.
  const format = new Intl.DateTimeFormat('sv-SE', {
    timeZone: zone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    ...more,
  });
  return (at: string | null | undefined) => {
    const ms = at ? Date.parse(at) : Number.NaN;
    return Number.isNaN(ms) ? '–' : format.format(ms);
  };
}

const UNITS: [number, Intl.NumberFormatOptions['unit']][] = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1_000, 'second'],
];

/** The two largest units of a span; milliseconds below a second. */
export function spanOf(ms: number | null | undefined, language: Language, none: string): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return none;
  const write = (value: number, unit: Intl.NumberFormatOptions['unit']) =>
    new Intl.NumberFormat(language === 'zh' ? 'zh-CN' : 'en-GB', {
      style: 'unit',
      unit,
      unitDisplay: language === 'zh' ? 'short' : 'narrow',
    }).format(value);
  if (Math.abs(ms) < 1_000) return write(Math.round(ms), 'millisecond');
  const first = UNITS.findIndex(([size]) => Math.abs(ms) >= size);
  const parts: string[] = [];
  let rest = Math.abs(ms);
  for (const [size, unit] of UNITS.slice(first, first + 2)) {
    const value = Math.floor(rest / size);
    rest -= value * size;
    if (value > 0) parts.push(write(value, unit));
  }
  return (ms < 0 ? '−' : '') + parts.join(' ');
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
