// Makes stairwells, cameras and doors by the dozen: `1-12` buildings with units `1-4`. Pure.

import type { CameraRow, DoorRow, StairwellRow } from './types';

/** More at once is a slip of the keyboard. */
const ROWS_MAX = 500;
/** As the API: longest id. */
const ID_CHARS_MAX = 32;

/** `1-4,7,9A` as its parts, in their order and once each; `null` when it cannot be read. */
export function parts(text: string): string[] | null {
  const found = new Set<string>();
  for (const raw of text.split(/[,，、;；\s]+/)) {
    const part = raw.trim();
    if (part === '') continue;
    const range = /^(\d{1,4})\s*[-–~～]\s*(\d{1,4})$/.exec(part);
    if (range) {
      const [first, last] = [Number(range[1]), Number(range[2])];
      if (first > last || last - first >= ROWS_MAX) return null;
      for (let n = first; n <= last; n += 1) found.add(String(n));
    } else if (/^[\p{L}\p{N}]{1,16}$/u.test(part)) {
      found.add(part);
    } else {
      return null;
    }
  }
  return found.size > 0 && found.size <= ROWS_MAX ? [...found] : null;
}

/** `b03-u2` of building 3, unit 2. What an id cannot hold is left out. */
export function stairwellId(building: string, unit: string): string {
  const clean = (text: string) => {
    const kept = text.replaceAll(/[^A-Za-z0-9_-]/g, '');
    return /^\d$/.test(kept) ? `0${kept}` : kept;
  };
  return `b${clean(building) || 'x'}-u${unit.replaceAll(/[^A-Za-z0-9_-]/g, '') || 'x'}`.slice(
    0,
    ID_CHARS_MAX,
  );
}

export interface Made<T> {
  rows: T[];
  /** Those that were there already. */
  nThere: number;
}

/** The stairwells of `buildings` × `units` that are not there yet. */
export function makeStairwells(
  there: StairwellRow[],
  buildings: string,
  units: string,
): Made<StairwellRow> | null {
  const [names, numbers] = [parts(buildings), parts(units)];
  if (!names || !numbers || names.length * numbers.length > ROWS_MAX) return null;
  const known = new Set(there.map((one) => `${one.building}/${one.unit}`));
  const ids = new Set(there.map((one) => one.id));
  const rows: StairwellRow[] = [];
  let nThere = 0;
  for (const building of names) {
    for (const unit of numbers) {
      if (known.has(`${building}/${unit}`)) {
        nThere += 1;
        continue;
      }
      const id = freeId(stairwellId(building, unit), ids);
      rows.push({ id, building, unit });
    }
  }
  return { rows, nThere };
}

/** A camera for each stairwell that has none; `{building}`, `{unit}` and `{n}` in the address are filled in. */
export function makeCameras(
  stairwells: StairwellRow[],
  there: CameraRow[],
  pattern: { url: string; sub_url: string; username: string; password: string },
): CameraRow[] {
  const seen = new Set(there.map((one) => one.place));
  const ids = new Set(there.map((one) => one.id));
  const without = stairwells.filter((one) => !seen.has(one.id));
  return without.map((at, idx) => {
    const filled = (text: string) =>
      text
        .replaceAll('{building}', at.building)
        .replaceAll('{unit}', at.unit)
        .replaceAll('{n}', String(idx + 1));
    const row: CameraRow = {
      id: freeId(`${at.id}-in`, ids),
      place: at.id,
      url: filled(pattern.url.trim()),
    };
    if (pattern.sub_url.trim()) row.sub_url = filled(pattern.sub_url.trim());
    if (pattern.username.trim()) row.username = pattern.username.trim();
    if (pattern.password) row.password = pattern.password;
    return row;
  });
}

/** A door for each stairwell that has none, seen by that stairwell's cameras. */
export function makeDoors(stairwells: StairwellRow[], cameras: CameraRow[], there: DoorRow[]): DoorRow[] {
  const seen = new Set(there.map((one) => one.place));
  const ids = new Set(there.map((one) => one.id));
  return stairwells
    .filter((one) => !seen.has(one.id))
    .map((at) => ({
      id: freeId(`${at.id}-door`, ids),
      place: at.id,
      cameras: cameras.filter((one) => one.place === at.id).map((one) => one.id),
    }));
}

/** `id`, or with a number behind it when somebody has it; taken from now on. */
function freeId(id: string, taken: Set<string>): string {
  let free = id.slice(0, ID_CHARS_MAX);
  for (let n = 2; taken.has(free); n += 1) {
    const tail = `-${n}`;
    free = id.slice(0, ID_CHARS_MAX - tail.length) + tail;
  }
  taken.add(free);
  return free;
}
