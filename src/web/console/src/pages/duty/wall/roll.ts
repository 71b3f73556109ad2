// Which cameras are on the wall: pinned ones stay, a door where something happened comes first, the rest rolls. Pure.

/** Why a camera is on the wall out of turn. */
export interface Cause {
  kind: 'alert' | 'entry';
  camera: string;
  severity: number;
  text: string;
  /** The case, for the gateway's audit. */
  alert: string | null;
  /** Until when it stays, by the page's monotonic clock. */
  untilMs: number;
}

export interface Roll {
  /** All cameras, in the order they roll by. */
  cameras: string[];
  n: number;
  pinned: string[];
  causes: Cause[];
  /** How many pages it has rolled. */
  page: number;
}

export interface Slot {
  camera: string;
  isPinned: boolean;
  cause: Cause | null;
}

/** How many cameras roll, and in how many pages. */
export function pagesOf(roll: Roll): { nPages: number; nRolling: number; nFree: number } {
  const held = new Set(heldBy(roll).map((slot) => slot.camera));
  const nRolling = roll.cameras.filter((camera) => !held.has(camera)).length;
  const nFree = Math.max(0, roll.n - held.size);
  return { nPages: nFree === 0 ? 1 : Math.max(1, Math.ceil(nRolling / nFree)), nRolling, nFree };
}

/** Causes by severity, newest first among equals, then what is pinned; as many as there are tiles. */
function heldBy({ cameras, n, pinned, causes }: Roll): Slot[] {
  const known = new Set(cameras);
  const slots = new Map<string, Slot>();
  const ordered = [...causes].sort((a, b) => a.severity - b.severity || b.untilMs - a.untilMs);
  for (const cause of ordered) {
    if (known.has(cause.camera) && !slots.has(cause.camera)) {
      slots.set(cause.camera, { camera: cause.camera, isPinned: pinned.includes(cause.camera), cause });
    }
  }
  for (const camera of pinned) {
    if (known.has(camera) && !slots.has(camera)) slots.set(camera, { camera, isPinned: true, cause: null });
  }
  return [...slots.values()].slice(0, n);
}

/** The tiles now, at most `n`; fewer when there are fewer cameras. */
export function slotsOf(roll: Roll): Slot[] {
  const held = heldBy(roll);
  const taken = new Set(held.map((slot) => slot.camera));
  const rolling = roll.cameras.filter((camera) => !taken.has(camera));
  const { nPages, nFree } = pagesOf(roll);
  const page = ((roll.page % nPages) + nPages) % nPages;
  // The last page is filled up from the first, so that no tile is empty while a camera waits.
  const shown: string[] = [];
  for (let idx = 0; idx < Math.min(nFree, rolling.length); idx += 1) {
    const camera = rolling[(page * nFree + idx) % rolling.length];
    if (camera !== undefined) shown.push(camera);
  }
  return [...held, ...shown.map((camera) => ({ camera, isPinned: false, cause: null }))];
}
