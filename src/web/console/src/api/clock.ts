// The gateway's clock. What a person sees as an age or a countdown never comes from this computer's clock, which may be wrong.

/** Older samples are forgotten, so that a step of the gateway's clock is followed. */
const SAMPLE_AGE_MAX_MS = 5 * 60_000;
const N_SAMPLES_MAX = 64;

interface Sample {
  /** When it was heard, by this page's monotonic clock. */
  at: number;
  /** The gateway's time then, less `at`. The way here took time, so the truth is never less. */
  offset: number;
}

/** Every time the gateway tells is late by its way here; the least late one of the last minutes is right. */
class ServerClock {
  private samples: Sample[] = [];

  /** The gateway said that it was `unixMs`. */
  heard(unixMs: number): void {
    if (!Number.isFinite(unixMs)) return;
    const at = performance.now();
    this.samples = this.samples.filter((sample) => at - sample.at < SAMPLE_AGE_MAX_MS).slice(1 - N_SAMPLES_MAX);
    this.samples.push({ at, offset: unixMs - at });
  }

  /** Now, in the gateway's Unix milliseconds. Before the gateway told any, this computer's. */
  now(): number {
    let best = Number.NEGATIVE_INFINITY;
    for (const sample of this.samples) best = Math.max(best, sample.offset);
    return best === Number.NEGATIVE_INFINITY ? Date.now() : performance.now() + best;
  }
}

export const clock = new ServerClock();
