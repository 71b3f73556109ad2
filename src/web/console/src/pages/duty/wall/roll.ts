// Which cameras are on the wall: pinned ones stay, a door where something happened takes a tile, the rest rolls. Pure.

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

function held({ cameras, pinned, n }: Roll): string[] {
  return pinned.filter((camera) => cameras.includes(camera)).slice(0, n);
}

/** In how many pages the cameras roll by that are not pinned. */
export function pagesOf(roll: Roll): number {
  const pinned = held(roll);
  const [nRolling, nFree] = [roll.cameras.length - pinned.length, roll.n - pinned.length];
  return nFree <= 0 ? 1 : Math.max(1, Math.ceil(nRolling / nFree));
}

/** The tiles now, at most `n`, fewer when there are fewer cameras; what was on the wall `before` keeps its place. */
export function slotsOf(roll: Roll, before: readonly string[]): Slot[] {
  const pinned = held(roll);
  const rolling = roll.cameras.filter((camera) => !pinned.includes(camera));
  const nFree = Math.min(roll.n - pinned.length, rolling.length);
  const nPages = pagesOf(roll);
  const first = (((roll.page % nPages) + nPages) % nPages) * (roll.n - pinned.length);
  const shown: string[] = [];
  for (let idx = 0; idx < nFree; idx += 1) {
    // The last page is filled up from the first, so that no tile is empty while a camera waits.
    const camera = rolling[(first + idx) % rolling.length];
    if (camera !== undefined) shown.push(camera);
  }
  // The most severe comes first, the newest among equals; it takes the tile of one that rolls by.
  const causes = [...roll.causes]
    .filter((cause) => roll.cameras.includes(cause.camera))
    .sort((a, b) => a.severity - b.severity || b.untilMs - a.untilMs);
  const urgent: string[] = [];
  for (const { camera } of causes) {
    const isThere = pinned.includes(camera) || shown.includes(camera) || urgent.includes(camera);
    if (isThere) continue;
    const leaving = shown.findLastIndex((other) => !causes.some((cause) => cause.camera === other));
    if (leaving < 0) continue;
    shown.splice(leaving, 1);
    urgent.push(camera);
  }
  const slot = (camera: string): Slot => ({
    camera,
    isPinned: pinned.includes(camera),
    cause: causes.find((cause) => cause.camera === camera) ?? null,
  });
  return arrange([...pinned, ...shown, ...urgent], before).map(slot);
}

/** `cameras` in an order in which those that were there `before` keep their place. */
export function arrange(cameras: readonly string[], before: readonly string[]): string[] {
  const placed: (string | undefined)[] = cameras.map((_, idx) => {
    const was = before[idx];
    return was !== undefined && cameras.includes(was) ? was : undefined;
  });
  const rest = cameras.filter((camera) => !placed.includes(camera));
  return placed.map((camera) => camera ?? rest.shift() ?? '');
}
