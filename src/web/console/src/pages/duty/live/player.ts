// One tile's video: fragments into a MediaSource, the buffer kept short, the picture kept at the live edge. It knows which
// of the gateway's frames is on the screen, so that its age can be told.
import { clock } from '../../../api/clock';
import { KIND, type Opened, type Part } from './protocol';

/** Kept behind the picture. */
const BEHIND_S = 4;
/** Trimmed when so much is behind; not at each fragment. */
const TRIM_AT_S = 10;
/** Further behind the edge than this: jump. A picture is promised to be less than a second old. */
const JUMP_LAG_S = 0.8;
/** Further behind than this: a little faster. */
const HURRY_LAG_S = 0.4;
const HURRY_RATE = 1.15;
/** Where a jump lands, behind the edge: room for the next fragment to be late. */
const EDGE_S = 0.12;
/** Bytes that wait for the buffer, at most; then the tile waits for the next key frame. */
const WAITING_BYTES_MAX = 8 << 20;
/** Marks kept: which media time is which moment of the gateway. */
const N_MARKS_MAX = 64;

interface Mark {
  /** Media time at the end of a fragment. */
  endS: number;
  /** When its last frame arrived at the gateway. */
  frameMs: number;
}

/** One run of a stream in one element; what comes with other parameters is another one. */
class Showing {
  private source: MediaSource | null = null;
  private buffer: SourceBuffer | null = null;
  private waiting: Part[] = [];
  private waitingBytes = 0;
  private appending: Part | null = null;
  private marks: Mark[] = [];
  private needsKey = true;
  readonly video: HTMLVideoElement;
  private readonly onBroken: (why: string) => void;

  constructor(video: HTMLVideoElement, opened: Opened, onBroken: (why: string) => void) {
    this.video = video;
    this.onBroken = onBroken;
    const source = new MediaSource();
    this.source = source;
    const url = URL.createObjectURL(source);
    source.addEventListener(
      'sourceopen',
      () => {
        URL.revokeObjectURL(url);
        if (this.source !== source) return;
        try {
          source.duration = Number.POSITIVE_INFINITY;
          this.buffer = source.addSourceBuffer(opened.mime);
        } catch (error) {
          this.onBroken(String(error));
          return;
        }
        this.buffer.mode = 'segments';
        this.buffer.addEventListener('updateend', () => this.appended());
        this.feed();
      },
      { once: true },
    );
    this.video.src = url;
  }

  take(part: Part): void {
    if (this.source === null) return;
    if (part.kind === KIND.init) {
      this.waiting = [];
      this.waitingBytes = 0;
      this.needsKey = true;
    } else if (part.kind === KIND.keyFragment) {
      this.needsKey = false;
    } else if (this.needsKey) {
      return;
    }
    this.waiting.push(part);
    this.waitingBytes += part.payload.byteLength;
    if (this.waitingBytes > WAITING_BYTES_MAX) {
      this.waiting = [];
      this.waitingBytes = 0;
      this.needsKey = true;
    }
    this.feed();
  }

  /** Age of the picture on the screen, in milliseconds by the gateway's clock; `null`: there is none. */
  ageMs(): number | null {
    const last = this.marks.at(-1);
    if (!last || this.video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return null;
    // Before the last mark, time in the film and at the gateway run alike; the nearest mark after the picture serves.
    const at = this.video.currentTime;
    const mark = this.marks.find((mark) => mark.endS >= at) ?? last;
    return Math.max(0, clock.now() - (mark.frameMs - Math.max(0, mark.endS - at) * 1_000));
  }

  close(): void {
    const { source } = this;
    this.source = null;
    this.buffer = null;
    this.waiting = [];
    this.waitingBytes = 0;
    this.appending = null;
    this.marks = [];
    this.needsKey = true;
    if (source?.readyState === 'open') {
      try {
        source.endOfStream();
      } catch {
        // A buffer was still being written; the source goes all the same.
      }
    }
    this.video.removeAttribute('src');
    this.video.load();
  }

  private feed(): void {
    const { buffer } = this;
    // `appending` is there until `appended` has seen it, which is some time after `updating` has ended.
    if (!buffer || buffer.updating || this.appending || this.source?.readyState !== 'open') return;
    const part = this.waiting.shift();
    if (!part) return;
    this.waitingBytes -= part.payload.byteLength;
    this.appending = part;
    try {
      buffer.appendBuffer(part.payload);
    } catch (error) {
      this.appending = null;
      if (error instanceof DOMException && error.name === 'QuotaExceededError') {
        this.needsKey = true;
        this.trim(buffer);
      } else {
        this.onBroken(String(error));
      }
    }
  }

  private appended(): void {
    const { buffer, video, appending } = this;
    if (!buffer || this.source?.readyState !== 'open') return;
    if (video.error) {
      this.onBroken(video.error.message);
      return;
    }
    const n = buffer.buffered.length;
    this.appending = null;
    if (appending && n > 0 && appending.kind !== KIND.init) {
      this.marks.push({ endS: buffer.buffered.end(n - 1), frameMs: appending.frameMs });
      if (this.marks.length > N_MARKS_MAX) this.marks.shift();
    }
    this.chase();
    if (!this.trim(buffer)) this.feed();
  }

  /** Keeps the picture at the live edge. */
  private chase(): void {
    const { video, buffer } = this;
    const n = buffer?.buffered.length ?? 0;
    if (!buffer || n === 0) return;
    const [start, end] = [buffer.buffered.start(n - 1), buffer.buffered.end(n - 1)];
    const lag = end - video.currentTime;
    if (video.currentTime < start || lag > JUMP_LAG_S || lag < -JUMP_LAG_S) {
      video.currentTime = Math.max(start, end - EDGE_S);
      video.playbackRate = 1;
    } else {
      const rate = lag > HURRY_LAG_S ? HURRY_RATE : 1;
      if (video.playbackRate !== rate) video.playbackRate = rate;
    }
    // Muted video may begin by itself; a browser that pauses it in the background goes on when it is seen.
    if (video.paused) video.play().catch(() => undefined);
  }

  /** Removes what was seen; true when the buffer is busy with that. */
  private trim(buffer: SourceBuffer): boolean {
    if (buffer.updating) return true;
    const { buffered } = buffer;
    if (buffered.length === 0) return false;
    const start = buffered.start(0);
    const until = this.video.currentTime - BEHIND_S;
    if (this.video.currentTime - start < TRIM_AT_S || until <= start) return false;
    buffer.remove(start, until);
    return true;
  }
}

/**
 * The video of one tile. While a stream begins anew (a camera is back, a sub stream takes over) the old picture stays,
 * ageing, until the new one is there: two elements lie on each other.
 */
export class Player {
  private shown: Showing | null = null;
  private next: Showing | null = null;
  private readonly videos: readonly [HTMLVideoElement, HTMLVideoElement];
  private readonly onBroken: (why: string) => void;

  constructor(videos: readonly [HTMLVideoElement, HTMLVideoElement], onBroken: (why: string) => void) {
    this.videos = videos;
    this.onBroken = onBroken;
  }

  /** A stream begins, or begins anew with other parameters. */
  open(opened: Opened): void {
    this.next?.close();
    const [first, second] = this.videos;
    const video = this.shown?.video === first ? second : first;
    const next = new Showing(video, opened, this.onBroken);
    this.next = next;
    video.addEventListener('loadeddata', () => this.turn(next), { once: true });
  }

  take(part: Part): void {
    (this.next ?? this.shown)?.take(part);
  }

  ageMs(): number | null {
    return this.shown?.ageMs() ?? null;
  }

  close(): void {
    this.next?.close();
    this.shown?.close();
    this.next = null;
    this.shown = null;
  }

  private turn(next: Showing): void {
    if (this.next !== next) return;
    const before = this.shown;
    this.shown = next;
    this.next = null;
    for (const video of this.videos) video.style.visibility = video === next.video ? 'visible' : 'hidden';
    before?.close();
  }
}
