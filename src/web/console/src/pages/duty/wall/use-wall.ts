// What the wall shows and for how long: settings that are kept, rolling, and the doors where something happens.
import { useCallback, useEffect, useMemo, useState } from 'react';
import { request, type Page } from '../../../api/client';
import { clock } from '../../../api/clock';
import type { Alert, Entry } from '../../../api/types';
import { useLanguage, useText } from '../../../i18n';
import { may, useMe } from '../../../session';
import { useDuty } from '../feed/feed';
import { byNumber, COMPOUND, type SiteView } from '../places';
import { pagesOf, slotsOf, type Cause, type Roll, type Slot } from './roll';

export const COUNTS = [1, 4, 9, 16] as const;
export type Count = (typeof COUNTS)[number];
export const DWELLS_S = [5, 10, 20, 30, 60] as const;
/** How long a door stays on the wall after something happened there. */
const CAUSE_MS = 30_000;
/** Doors that are held at the same time, at most half of a wall of nine. */
const N_CAUSES_MAX = 4;
const ENTRIES_EVERY_MS = 2_000;
const N_ENTRIES = 20;
const STORED = 'stairgate.wall';

interface Settings {
  n: Count;
  dwellS: number;
  building: string | null;
  pinned: string[];
  followsAlerts: boolean;
  followsEntries: boolean;
}

const USUAL: Settings = {
  n: 9, dwellS: 10, building: null, pinned: [], followsAlerts: true, followsEntries: false,
};

function stored(): Settings {
  try {
    return { ...USUAL, ...(JSON.parse(localStorage.getItem(STORED) ?? '{}') as Partial<Settings>) };
  } catch {
    return USUAL;
  }
}

export interface Wall {
  settings: Settings;
  change: (part: Partial<Settings>) => void;
  slots: Slot[];
  /** From 0. */
  page: number;
  nPages: number;
  isPaused: boolean;
  setPaused: (isPaused: boolean) => void;
  turn: (by: number) => void;
  /** The one camera that fills the wall; `null`: none. */
  enlarged: string | null;
  enlarge: (camera: string | null) => void;
  pin: (camera: string) => void;
}

/** The cameras of `building` (all: `null`) in the order people walk: gates first, then by building and unit. */
export function camerasOf(site: SiteView, building: string | null): string[] {
  const rank = (place: string) => site.places.findIndex((facts) => facts.id === place);
  return site.cameras
    .filter((camera) => building === null || site.building(camera.place) === building)
    .sort((a, b) => {
      const [atA, atB] = [a.place === COMPOUND ? -1 : rank(a.place), b.place === COMPOUND ? -1 : rank(b.place)];
      return atA - atB || byNumber(a.camera, b.camera);
    })
    .map((camera) => camera.camera);
}

export function useWall(site: SiteView): Wall {
  const [settings, setSettings] = useState<Settings>(stored);
  const [page, setPage] = useState(0);
  const [isPaused, setPaused] = useState(false);
  const [enlarged, enlarge] = useState<string | null>(null);
  const causes = useCauses(site, settings);

  const change = useCallback((part: Partial<Settings>) => {
    setSettings((was) => {
      const now = { ...was, ...part };
      localStorage.setItem(STORED, JSON.stringify(now));
      return now;
    });
  }, []);
  const cameras = useMemo(() => camerasOf(site, settings.building), [site, settings.building]);
  const roll = useMemo<Roll>(
    () => ({ cameras, n: settings.n, pinned: settings.pinned, causes, page }),
    [cameras, settings.n, settings.pinned, causes, page],
  );
  const { nPages } = pagesOf(roll);
  const rolls = !isPaused && enlarged === null && nPages > 1;
  useEffect(() => {
    if (!rolls) return undefined;
    const timer = window.setTimeout(() => setPage(page + 1), settings.dwellS * 1_000);
    return () => window.clearTimeout(timer);
  }, [rolls, page, settings.dwellS]);

  return {
    settings,
    change,
    slots: useMemo(() => slotsOf(roll), [roll]),
    page: ((page % nPages) + nPages) % nPages,
    nPages,
    isPaused,
    setPaused,
    turn: (by) => setPage((was) => was + by),
    enlarged,
    enlarge,
    pin: (camera) => {
      const pinned = settings.pinned.includes(camera)
        ? settings.pinned.filter((other) => other !== camera)
        : [...settings.pinned, camera];
      change({ pinned });
    },
  };
}

/** The doors where something happened within the last half minute. */
function useCauses(site: SiteView, { followsAlerts, followsEntries }: Settings): Cause[] {
  const me = useMe();
  const t = useText();
  const language = useLanguage();
  const { feed } = useDuty();
  const [causes, setCauses] = useState<Cause[]>([]);

  const add = useCallback((cause: Cause) => {
    setCauses((was) =>
      [cause, ...was.filter((other) => other.camera !== cause.camera || other.severity < cause.severity)].slice(0, N_CAUSES_MAX),
    );
  }, []);

  useEffect(() => {
    if (!followsAlerts) return undefined;
    return feed.onHeard((alert: Alert, before) => {
      const camera = alert.camera ?? site.camerasOf(alert.door)[0];
      if (before || !camera) return;
      add({
        kind: 'alert', camera, severity: alert.severity, alert: alert.id,
        text: language === 'zh' ? alert.title_zh : alert.title_en,
        untilMs: performance.now() + CAUSE_MS,
      });
    });
  }, [feed, followsAlerts, site, language, add]);

  const followsNow = followsEntries && may(me, 'see-entries');
  useEffect(() => {
    if (!followsNow) return undefined;
    let from = new Date(clock.now()).toISOString();
    const look = async () => {
      const { items } = await request<Page<Entry>>('GET', '/entries', { query: { from, limit: N_ENTRIES } });
      for (const entry of items.reverse()) {
        // The next question begins behind the newest.
        from = new Date(Date.parse(entry.received_at) + 1).toISOString();
        const camera = site.camerasOf(entry.door)[0];
        if (camera) {
          add({
            kind: 'entry', camera, severity: 5, alert: null,
            text: t(`duty.decision.${entry.decision.outcome}`),
            untilMs: performance.now() + CAUSE_MS,
          });
        }
      }
    };
    const timer = window.setInterval(() => void look().catch(() => undefined), ENTRIES_EVERY_MS);
    return () => window.clearInterval(timer);
  }, [followsNow, site, t, add]);

  const next = Math.min(...causes.map((cause) => cause.untilMs));
  useEffect(() => {
    if (!Number.isFinite(next)) return undefined;
    const timer = window.setTimeout(
      () => setCauses((was) => was.filter((cause) => cause.untilMs > next)),
      Math.max(0, next - performance.now()),
    );
    return () => window.clearTimeout(timer);
  }, [next]);
  return causes;
}
