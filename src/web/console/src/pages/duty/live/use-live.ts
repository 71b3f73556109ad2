// A camera's live picture for a component: what to show, and how old it is.
import { useEffect, useRef, useState, useSyncExternalStore, type RefObject } from 'react';
import { clock } from '../../../api/clock';
import { liveLink, type LinkState, type Wish } from './link';
import { Player } from './player';
import { KIND, type Opened } from './protocol';

/** No frame for so long: amber, red. */
export const AMBER_MS = 3_000;
export const RED_MS = 5_000;
const LOOK_EVERY_MS = 250;
/** A watch that the gateway ended, or a player that failed, is tried again after so long. */
const AGAIN_MS = 3_000;

export type Freshness = 'opening' | 'live' | 'amber' | 'red';

export interface LiveView {
  freshness: Freshness;
  /** Milliseconds since the picture on the screen arrived at the gateway; `null`: none is on the screen. */
  ageMs: number | null;
  opened: Opened | null;
  /** Why the gateway ended the watch. */
  closed: { code: string; detail: string } | null;
}

const NOTHING: LiveView = { freshness: 'opening', ageMs: null, opened: null, closed: null };

export function useLinkState(): LinkState {
  return useSyncExternalStore(liveLink.subscribe, liveLink.snapshot);
}

/** What one watch knows; lives outside of React, looked at a few times a second. */
class Watch {
  private readonly player: Player;
  private readonly image: HTMLImageElement;
  private readonly begunAt = performance.now();
  private readonly wish: Wish;
  private end: () => void = () => undefined;
  private again = 0;
  private opened: Opened | null = null;
  private closed: LiveView['closed'] = null;
  private pictureMs: number | null = null;
  private pictureUrl = '';
  /** The gateway's word: the age of the camera's last frame, and when we heard it. */
  private told: { ageMs: number | null; atMs: number } | null = null;

  constructor(wish: Wish, video: HTMLVideoElement, image: HTMLImageElement) {
    this.wish = wish;
    this.image = image;
    this.player = new Player(video, () => this.restart());
    this.start();
  }

  private start(): void {
    this.end = liveLink.watch(this.wish, {
      opened: (opened) => {
        this.closed = null;
        this.opened = opened;
        if (opened.mode === 'mse') this.player.open(opened);
      },
      part: (part) => {
        if (part.kind !== KIND.jpeg) this.player.take(part);
        else this.show(part.payload, part.frameMs);
      },
      state: (state) => {
        this.told = { ageMs: state.age_ms, atMs: clock.now() };
      },
      closed: (code, detail) => {
        this.closed = { code, detail };
        this.restart();
      },
      lost: () => undefined,
    });
  }

  private restart(): void {
    this.end();
    window.clearTimeout(this.again);
    this.again = window.setTimeout(() => this.start(), AGAIN_MS);
  }

  private show(jpeg: Uint8Array<ArrayBuffer>, frameMs: number): void {
    const before = this.pictureUrl;
    this.pictureUrl = URL.createObjectURL(new Blob([jpeg], { type: 'image/jpeg' }));
    this.image.src = this.pictureUrl;
    this.pictureMs = frameMs;
    if (before !== '') URL.revokeObjectURL(before);
  }

  view(): LiveView {
    const { opened, closed } = this;
    const isPicture = opened?.mode === 'picture';
    const shown = isPicture ? this.pictureMs && clock.now() - this.pictureMs : this.player.ageMs();
    // Video is as old as what is on the screen. A still picture is only as new as its key frame; whether the camera is
    // alive, the gateway tells beside it.
    const { told } = this;
    const streamMs = told === null || told.ageMs === null ? null : told.ageMs + clock.now() - told.atMs;
    const judged = isPicture ? (streamMs ?? shown) : shown;
    return { opened, closed, ageMs: shown, freshness: this.freshness(judged) };
  }

  private freshness(ageMs: number | null): Freshness {
    if (ageMs === null) return performance.now() - this.begunAt < RED_MS ? 'opening' : 'red';
    if (ageMs >= RED_MS) return 'red';
    return ageMs >= AMBER_MS ? 'amber' : 'live';
  }

  close(): void {
    window.clearTimeout(this.again);
    this.end();
    this.player.close();
    if (this.pictureUrl !== '') URL.revokeObjectURL(this.pictureUrl);
  }
}

/** Watches `wish` with the two elements, one of which shows the picture. */
export function useLive(
  wish: Wish,
): { view: LiveView; video: RefObject<HTMLVideoElement | null>; image: RefObject<HTMLImageElement | null> } {
  const video = useRef<HTMLVideoElement>(null);
  const image = useRef<HTMLImageElement>(null);
  const [view, setView] = useState<LiveView>(NOTHING);
  const { camera, stream } = wish;
  const forCase = wish.case;
  useEffect(() => {
    if (!video.current || !image.current) return undefined;
    const asked: Wish = forCase === undefined ? { camera, stream } : { camera, stream, case: forCase };
    const watch = new Watch(asked, video.current, image.current);
    const timer = window.setInterval(() => setView(watch.view()), LOOK_EVERY_MS);
    return () => {
      window.clearInterval(timer);
      watch.close();
      setView(NOTHING);
    };
  }, [camera, stream, forCase]);
  return { view, video, image };
}
