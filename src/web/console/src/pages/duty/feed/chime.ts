// The sound of an alert: made by the browser, no file. Urgent ones sound again until someone takes note.
import type { Alert } from '../../../api/types';
import type { AlertFeed } from './alert-feed';

/** `blocked`: the browser lets no page sound before someone clicked or typed in it. */
export type ChimeState = 'on' | 'muted' | 'blocked';

interface Sound {
  /** Frequencies in Hz, one after the other. */
  tones: number[];
  /** Each tone's length. */
  toneS: number;
  gain: number;
  /** Sounds again while nobody took note; `null`: once. */
  againMs: number | null;
}

const SOUNDS: Record<number, Sound> = {
  1: { tones: [880, 660, 880, 660], toneS: 0.18, gain: 0.32, againMs: 6_000 },
  2: { tones: [740, 587], toneS: 0.2, gain: 0.24, againMs: 30_000 },
  3: { tones: [587], toneS: 0.22, gain: 0.16, againMs: null },
};
const STORED = 'stairgate.muted';
const LOOK_EVERY_MS = 1_000;
/** Between two sounds of a burst, so that ten alerts at once are one sound. */
const QUIET_MS = 1_200;

export class Chime {
  private isMuted = localStorage.getItem(STORED) === 'yes';
  private context: AudioContext | null = null;
  private readonly readers = new Set<() => void>();
  private soundedAt = Number.NEGATIVE_INFINITY;

  readonly subscribe = (reader: () => void): (() => void) => {
    this.readers.add(reader);
    return () => this.readers.delete(reader);
  };

  readonly snapshot = (): ChimeState => {
    if (this.isMuted) return 'muted';
    return this.context?.state === 'running' ? 'on' : 'blocked';
  };

  mute(isMuted: boolean): void {
    this.isMuted = isMuted;
    localStorage.setItem(STORED, isMuted ? 'yes' : 'no');
    if (!isMuted) void this.unblock();
    this.tell();
  }

  /** Called from a click or a key: only then does a browser allow sound. */
  readonly unblock = async (): Promise<void> => {
    this.context ??= new AudioContext();
    this.context.onstatechange = () => this.tell();
    if (this.context.state !== 'running') await this.context.resume();
    this.tell();
  };

  /** Sounds for what `feed` hears; gives what ends that. */
  follow(feed: AlertFeed): () => void {
    const gesture = () => void this.unblock();
    document.addEventListener('pointerdown', gesture);
    document.addEventListener('keydown', gesture);
    const unhear = feed.onHeard((alert, before) => {
      if (!before) this.sound(alert.severity);
    });
    const timer = window.setInterval(() => {
      const waiting = [...feed.snapshot().alerts.values()].filter(isUnnoticed);
      const severity = Math.min(...waiting.map((alert) => alert.severity));
      const again = SOUNDS[severity]?.againMs;
      if (again && performance.now() - this.soundedAt >= again) this.sound(severity);
    }, LOOK_EVERY_MS);
    return () => {
      document.removeEventListener('pointerdown', gesture);
      document.removeEventListener('keydown', gesture);
      unhear();
      window.clearInterval(timer);
      void this.context?.close();
      this.context = null;
    };
  }

  sound(severity: number): void {
    const sound = SOUNDS[severity];
    const { context } = this;
    const now = performance.now();
    if (!sound || !context || this.snapshot() !== 'on' || now - this.soundedAt < QUIET_MS) return;
    this.soundedAt = now;
    sound.tones.forEach((hz, idx) => {
      const from = context.currentTime + idx * sound.toneS * 1.15;
      const oscillator = context.createOscillator();
      const gain = context.createGain();
      oscillator.type = 'triangle';
      oscillator.frequency.value = hz;
      gain.gain.setValueAtTime(0, from);
      gain.gain.linearRampToValueAtTime(sound.gain, from + 0.015);
      gain.gain.exponentialRampToValueAtTime(0.001, from + sound.toneS);
      oscillator.connect(gain).connect(context.destination);
      oscillator.start(from);
      oscillator.stop(from + sound.toneS + 0.02);
    });
  }

  private tell(): void {
    for (const reader of this.readers) reader();
  }
}

function isUnnoticed(alert: Alert): boolean {
  return alert.case?.state === 'raised';
}
