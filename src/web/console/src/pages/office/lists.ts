// What the list of dwellings shows: filtered, summed by building, over-limit ones first. Pure.

import type { Dwelling } from './types';
import { byNumber } from './words';

export type Show = 'all' | 'over' | 'full' | 'free';

export interface Wanted {
  building: string | null;
  show: Show;
  tenure: string | null;
  q: string;
  /** Ids that the gateway found by a whole name. */
  byName: ReadonlySet<string>;
}

/** The key of dwellings that belong to no stairwell. */
export const NO_BUILDING = '-';

export interface Sum {
  building: string;
  dwellings: number;
  holders: number;
  free: number;
  over: number;
}

export function buildingOf(one: Dwelling): string {
  return one.building ?? NO_BUILDING;
}

export function filtered(all: Dwelling[], wanted: Wanted): Dwelling[] {
  const q = wanted.q.trim().toLowerCase();
  return all.filter(
    (one) =>
      (wanted.building === null || buildingOf(one) === wanted.building) &&
      (wanted.tenure === null || one.tenure === wanted.tenure) &&
      fits(one, wanted.show) &&
      (q === '' || matches(one, q) || wanted.byName.has(one.id)),
  );
}

function fits(one: Dwelling, show: Show): boolean {
  switch (show) {
    case 'all':
      return true;
    case 'over':
      return one.over_limit;
    case 'full':
      return one.free === 0 && !one.over_limit;
    case 'free':
      return one.free === null || one.free > 0;
  }
}

function matches(one: Dwelling, q: string): boolean {
  const address = `${one.building ?? ''}-${one.unit ?? ''}-${one.number}`.toLowerCase();
  return one.number.toLowerCase().includes(q) || one.id.toLowerCase().includes(q) || address.includes(q);
}

/** How far beyond the limit; free places count as less than none. */
function excess(one: Dwelling): number {
  return one.limit === null ? -Infinity : one.holders - one.limit;
}

/** The furthest beyond the limit first, then the full ones, then by address. */
export function overFirst(a: Dwelling, b: Dwelling): number {
  const rank = (one: Dwelling) => (one.over_limit ? excess(one) : 0);
  return (
    rank(b) - rank(a) ||
    byNumber(buildingOf(a), buildingOf(b)) ||
    byNumber(a.unit ?? '', b.unit ?? '') ||
    byNumber(a.number, b.number)
  );
}

/** By building, as people count. */
export function summed(all: Dwelling[]): Sum[] {
  const sums = new Map<string, Sum>();
  for (const one of all) {
    const building = buildingOf(one);
    const sum = sums.get(building) ?? { building, dwellings: 0, holders: 0, free: 0, over: 0 };
    sum.dwellings += 1;
    sum.holders += one.holders;
    sum.free += one.free ?? 0;
    sum.over += one.over_limit ? 1 : 0;
    sums.set(building, sum);
  }
  return [...sums.values()].sort((a, b) => byNumber(a.building, b.building));
}

export function total(sums: Sum[]): Sum {
  const sum = { building: '', dwellings: 0, holders: 0, free: 0, over: 0 };
  for (const one of sums) {
    sum.dwellings += one.dwellings;
    sum.holders += one.holders;
    sum.free += one.free;
    sum.over += one.over;
  }
  return sum;
}
