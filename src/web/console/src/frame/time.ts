// Times as people read them: in the compound's time zone, ages and countdowns by the gateway's clock.
import { useEffect, useMemo, useState } from 'react';
import { clock } from '../api/clock';
import { useLanguage, type Language } from '../i18n';
import { useSession } from '../session';

export interface Times {
  /** 14:03:27 */
  clock: (at: string | number) => string;
  /** 11-25 14:03:27, with the year when it is not this one. */
  moment: (at: string | number) => string;
  /** 2026-11-25 */
  day: (at: string | number) => string;
}

function formats(language: Language, timeZone: string | undefined): Times {
  const locale = language === 'zh' ? 'zh-CN' : 'en-GB';
  const time = new Intl.DateTimeFormat(locale, {
    timeZone, hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
  });
  // The Swedish locale writes dates as ISO 8601 does.
  const date = new Intl.DateTimeFormat('sv-SE', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
  const day = (at: string | number) => date.format(new Date(at));
  return {
    clock: (at) => time.format(new Date(at)),
    day,
    moment: (at) => {
      const [text, today] = [day(at), day(clock.now())];
      const shown = text.slice(0, 4) === today.slice(0, 4) ? text.slice(5) : text;
      return `${shown} ${time.format(new Date(at))}`;
    },
  };
}

export function useTimes(): Times {
  const language = useLanguage();
  const { state } = useSession();
  const timeZone = state.is === 'in' ? state.me.compound.time_zone : undefined;
  return useMemo(() => formats(language, timeZone), [language, timeZone]);
}

/** The gateway's time, again every `everyMs`. */
export function useServerNow(everyMs = 1_000): number {
  const [now, setNow] = useState(() => clock.now());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(clock.now()), everyMs);
    return () => window.clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** `4:05`, `1:02:03`, `3 d 4:00:00`-like lengths, without a sign. */
export function lengthText(ms: number, language: Language): string {
  const s = Math.floor(Math.abs(ms) / 1_000);
  const two = (n: number) => String(n).padStart(2, '0');
  const [days, hours, minutes, seconds] = [Math.floor(s / 86_400), Math.floor(s / 3_600) % 24, Math.floor(s / 60) % 60, s % 60];
  if (days > 0) return language === 'zh' ? `${days} 天 ${hours} 小时` : `${days} d ${hours} h`;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}
