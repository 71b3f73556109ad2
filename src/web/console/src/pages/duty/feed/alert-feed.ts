// The alerts that are open or new, kept true by the gateway's event stream. No React in here.
import { address, request, type Page } from '../../../api/client';
import { clock } from '../../../api/clock';
import type { Alert } from '../../../api/types';

/** How the stream is. `lost`: nothing new would be heard; since when, by this page's monotonic clock. */
export type Link = { is: 'live' } | { is: 'opening' } | { is: 'lost'; since: number };

export interface FeedState {
  link: Link;
  /** Open ones, and those that were told of since; no order. */
  alerts: ReadonlyMap<string, Alert>;
  /** True once the open ones were read. */
  isFilled: boolean;
}

/** An alert that is new or has changed, as the stream told it; not those read at the start. */
export type Heard = (alert: Alert, before: Alert | undefined) => void;

const OPEN_LIMIT = 200;
/** Pages of open alerts read at the start, at most. */
const OPEN_PAGES_MAX = 10;
/** Alerts that need nothing any more are kept so long, to be looked at once more. */
const DONE_AGE_MAX_MS = 15 * 60_000;
/** Alerts kept, at most; the oldest that need nothing leave first. */
const N_ALERTS_MAX = 3_000;
const REOPEN_AFTER_MS = 2_000;
/** A connection that died in silence is found by asking beside it so often. */
const CHECK_EVERY_MS = 20_000;
/** What the check found and the stream had not told by then was lost. */
const CHECK_GRACE_MS = 5_000;

/** Does someone have to do something about it? */
export function isOpen(alert: Alert): boolean {
  return alert.case !== null && alert.case !== undefined && !['closed', 'cancelled'].includes(alert.case.state);
}

export class AlertFeed {
  private state: FeedState = { link: { is: 'opening' }, alerts: new Map(), isFilled: false };
  private readonly readers = new Set<() => void>();
  private readonly heard = new Set<Heard>();
  private source: EventSource | null = null;
  private timers: number[] = [];
  private reopening = 0;
  private isClosed = false;

  open(): void {
    this.isClosed = false;
    this.connect();
    this.timers.push(window.setInterval(() => void this.check(), CHECK_EVERY_MS));
    this.timers.push(window.setInterval(() => this.forget(), CHECK_EVERY_MS));
  }

  close(): void {
    this.isClosed = true;
    this.source?.close();
    this.source = null;
    for (const timer of this.timers) window.clearInterval(timer);
    this.timers = [];
    window.clearTimeout(this.reopening);
  }

  readonly subscribe = (reader: () => void): (() => void) => {
    this.readers.add(reader);
    return () => this.readers.delete(reader);
  };

  readonly snapshot = (): FeedState => this.state;

  onHeard(then: Heard): () => void {
    this.heard.add(then);
    return () => this.heard.delete(then);
  }

  /** An answer of the gateway that holds an alert, such as a step's, is news too. */
  take(alert: Alert): void {
    this.put([alert], false);
  }

  private set(part: Partial<FeedState>): void {
    this.state = { ...this.state, ...part };
    for (const reader of this.readers) reader();
  }

  private connect(): void {
    this.source?.close();
    const source = new EventSource(address('/alerts/stream'));
    this.source = source;
    // The stream goes first and the list second, so that nothing falls between them.
    source.addEventListener('open', () => {
      this.set({ link: { is: 'live' } });
      void this.fill();
    });
    source.addEventListener('alert', (event: MessageEvent<string>) => {
      this.put([JSON.parse(event.data) as Alert], true);
    });
    source.addEventListener('snapshot', (event: MessageEvent<string>) => {
      const { alerts = [] } = JSON.parse(event.data) as { alerts?: Alert[] };
      this.put(alerts, false);
    });
    source.addEventListener('error', () => {
      if (this.isClosed || this.source !== source) return;
      this.lost();
      // The browser comes back by itself, unless the gateway refused it.
      if (source.readyState === EventSource.CLOSED) this.reopen();
    });
  }

  private lost(): void {
    if (this.state.link.is !== 'lost') this.set({ link: { is: 'lost', since: performance.now() } });
  }

  private reopen(): void {
    window.clearTimeout(this.reopening);
    this.reopening = window.setTimeout(() => {
      // Asking tells the frame when the log-in is over, which an event stream cannot.
      request('GET', '/me').then(
        () => !this.isClosed && this.connect(),
        () => !this.isClosed && this.reopen(),
      );
    }, REOPEN_AFTER_MS);
  }

  private async fill(): Promise<void> {
    try {
      let cursor: string | null = null;
      for (let page = 0; page < OPEN_PAGES_MAX; page += 1) {
        const list: Page<Alert> = await request('GET', '/alerts', {
          query: { state: 'open', limit: OPEN_LIMIT, cursor },
        });
        this.put(list.items, false);
        cursor = list.next_cursor;
        if (cursor === null) break;
      }
      const recent: Page<Alert> = await request('GET', '/alerts', { query: { limit: 50 } });
      this.put(recent.items, false);
      this.set({ isFilled: true });
    } catch {
      if (!this.isClosed) this.lost();
      if (!this.isClosed) this.reopen();
    }
  }

  /** Asks beside the stream: does the gateway know something newer than we heard? */
  private async check(): Promise<void> {
    if (this.state.link.is !== 'live') return;
    try {
      const { items } = await request<Page<Alert>>('GET', '/alerts', { query: { limit: 1 } });
      const [newest] = items;
      if (!newest || this.has(newest)) return;
      await new Promise((done) => window.setTimeout(done, CHECK_GRACE_MS));
      if (this.isClosed || this.has(newest)) return;
    } catch {
      if (this.isClosed) return;
    }
    this.lost();
    this.connect();
  }

  private has(alert: Alert): boolean {
    return (this.state.alerts.get(alert.id)?.revision ?? -1) >= alert.revision;
  }

  private put(news: Alert[], isTold: boolean): void {
    const alerts = new Map(this.state.alerts);
    const told: [Alert, Alert | undefined][] = [];
    for (const alert of news) {
      const before = alerts.get(alert.id);
      if (before && before.revision > alert.revision) continue;
      alerts.set(alert.id, alert);
      if (isTold) told.push([alert, before]);
    }
    this.set({ alerts });
    for (const [alert, before] of told) for (const then of this.heard) then(alert, before);
  }

  private forget(): void {
    const done = [...this.state.alerts.values()]
      .filter((alert) => !isOpen(alert))
      .sort((a, b) => Date.parse(a.raised_at) - Date.parse(b.raised_at));
    const before = clock.now() - DONE_AGE_MAX_MS;
    const surplus = this.state.alerts.size - N_ALERTS_MAX;
    const leaving = done.filter((alert, idx) => idx < surplus || lastTouched(alert) < before);
    // The newest stay, however old: a quiet night's list is not empty, and the check above knows them.
    const kept = new Set(done.slice(-50));
    const gone = leaving.filter((alert) => !kept.has(alert));
    if (gone.length === 0) return;
    const alerts = new Map(this.state.alerts);
    for (const alert of gone) alerts.delete(alert.id);
    this.set({ alerts });
  }
}

function lastTouched(alert: Alert): number {
  return Date.parse(alert.case?.last?.at ?? alert.ended_at ?? alert.raised_at);
}
