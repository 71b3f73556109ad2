// Names of places, doors and cameras as people say them, and which belong together.
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { request, type Page } from '../../api/client';
import { useText, type Text } from '../../i18n';
import { may, useMe } from '../../session';

export interface PlaceFacts {
  id: string;
  building: string;
  unit: string;
}

export interface CameraFacts {
  camera: string;
  place: string;
  up: boolean;
  codec: string | null;
  width: number;
  height: number;
  reason: string;
}

export interface DoorFacts {
  door: string;
  place: string;
  cameras: string[];
  online: boolean | null;
  state: string | null;
}

/** The place of gates and barriers. */
export const COMPOUND = 'compound';
const SITE_STALE_MS = 60_000;

export interface SiteView {
  places: PlaceFacts[];
  cameras: CameraFacts[];
  doors: DoorFacts[];
  isLoading: boolean;
  error: unknown;
  /** `3号楼 2单元`; the id when there is no such place. */
  name: (place: string) => string;
  building: (place: string) => string;
  /** The cameras that see a door, the one named first first. */
  camerasOf: (door: string | null) => string[];
  placeOf: (camera: string) => string;
}

/** Buildings and units are numbers as a rule: 2 stands before 10. */
export const byNumber = new Intl.Collator('zh-CN', { numeric: true }).compare;

function list<T>(path: string): () => Promise<T[]> {
  return async () => (await request<Page<T>>('GET', path)).items;
}

function nameOf(place: string, places: Map<string, PlaceFacts>, t: Text): string {
  if (place === COMPOUND) return t('duty.place.compound');
  const facts = places.get(place);
  return facts ? t('duty.place.stairwell', { building: facts.building, unit: facts.unit }) : place;
}

export function useSite(): SiteView {
  const t = useText();
  const me = useMe();
  const seesDevices = may(me, 'see-health') || may(me, 'see-live');
  const places = useQuery({ queryKey: ['places'], queryFn: list<PlaceFacts>('/places'), staleTime: SITE_STALE_MS });
  const cameras = useQuery({
    queryKey: ['cameras'], queryFn: list<CameraFacts>('/cameras'), staleTime: SITE_STALE_MS, enabled: seesDevices,
  });
  const doors = useQuery({
    queryKey: ['doors'], queryFn: list<DoorFacts>('/doors'), staleTime: SITE_STALE_MS, enabled: seesDevices,
  });
  return useMemo(() => {
    const byId = new Map((places.data ?? []).map((place) => [place.id, place]));
    const seen = new Map((doors.data ?? []).map((door) => [door.door, door.cameras]));
    const stands = new Map((cameras.data ?? []).map((camera) => [camera.camera, camera.place]));
    return {
      places: [...byId.values()].sort((a, b) => byNumber(a.building, b.building) || byNumber(a.unit, b.unit)),
      cameras: cameras.data ?? [],
      doors: doors.data ?? [],
      isLoading: places.isLoading || cameras.isLoading || doors.isLoading,
      error: places.error ?? cameras.error ?? doors.error,
      name: (place) => nameOf(place, byId, t),
      building: (place) => byId.get(place)?.building ?? COMPOUND,
      camerasOf: (door) => (door === null ? [] : (seen.get(door) ?? [])),
      placeOf: (camera) => stands.get(camera) ?? '',
    };
  }, [places.data, places.isLoading, places.error, cameras.data, cameras.isLoading, cameras.error, doors.data, doors.isLoading, doors.error, t]);
}
