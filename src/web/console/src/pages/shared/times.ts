// Moments and spans of time for people: in the compound's calendar and the reader's language.

import { useMemo } from 'react';
import { useLanguage, useText } from '../../i18n';
import { useMe } from '../../session';
import { spanOf } from './spans';

export { dayStart } from './spans';

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
