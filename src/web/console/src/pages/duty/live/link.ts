// One WebSocket for all live pictures of this tab: opened with the first watch, closed when nobody looks, made anew when lost.
import { clock } from '../../../api/clock';
import { request } from '../../../api/client';
import {
  CLOSE_FORBIDDEN, playableCodecs, readPart, VERSION,
  type Command, type Message, type Opened, type Part, type WatchState,
} from './protocol';

/** Who looks at one camera. */
export interface Sink {
  opened: (opened: Opened) => void;
  part: (part: Part) => void;
  state: (state: WatchState) => void;
  /** The gateway will send nothing more for this watch. */
  closed: (code: string, detail: string) => void;
  /** The connection is gone; it is made anew. */
  lost: () => void;
}

export interface Wish {
  camera: string;
  stream: 'auto' | 'main' | 'sub';
  /** The case it is looked at for. */
  case?: string;
}

export type LinkState = 'idle' | 'opening' | 'live' | 'lost' | 'forbidden';

const REOPEN_MIN_MS = 500;
const REOPEN_MAX_MS = 8_000;
/** A wall that rolls lets all go and takes others at once; the connection stays for that. */
const LINGER_MS = 3_000;
/** The gateway sends the states each second; a connection silent for longer is dead. */
const SILENCE_MAX_MS = 6_000;
const LOOK_EVERY_MS = 1_000;
const ID_MAX = 0xffff;

export class LiveLink {
  private socket: WebSocket | null = null;
  private state: LinkState = 'idle';
  private readonly watches = new Map<number, { wish: Wish; sink: Sink }>();
  private readonly readers = new Set<() => void>();
  private nextId = 1;
  private reopenMs = REOPEN_MIN_MS;
  private reopening = 0;
  private lingering = 0;
  private watchdog = 0;
  private heardAt = 0;

  readonly subscribe = (reader: () => void): (() => void) => {
    this.readers.add(reader);
    return () => this.readers.delete(reader);
  };

  readonly snapshot = (): LinkState => this.state;

  /** Begins to look; gives what ends it. */
  watch(wish: Wish, sink: Sink): () => void {
    const id = this.freeId();
    this.watches.set(id, { wish, sink });
    window.clearTimeout(this.lingering);
    if (this.socket === null) this.connect();
    else if (this.state === 'live') this.send({ type: 'watch', id, ...wish });
    return () => {
      if (!this.watches.delete(id)) return;
      if (this.state === 'live') this.send({ type: 'unwatch', id });
      if (this.watches.size === 0) this.lingering = window.setTimeout(() => this.rest(), LINGER_MS);
    };
  }

  private freeId(): number {
    while (this.watches.has(this.nextId)) this.nextId = (this.nextId % ID_MAX) + 1;
    const id = this.nextId;
    this.nextId = (this.nextId % ID_MAX) + 1;
    return id;
  }

  private connect(): void {
    window.clearTimeout(this.reopening);
    const scheme = window.location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${window.location.host}/api/v1/live`);
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    this.heardAt = performance.now();
    this.tell(this.state === 'lost' ? 'lost' : 'opening');
    socket.addEventListener('open', () => this.send({ type: 'hello', v: VERSION, codecs: playableCodecs() }));
    socket.addEventListener('message', (event: MessageEvent<ArrayBuffer | string>) => {
      if (this.socket === socket) this.hear(event.data);
    });
    socket.addEventListener('close', (event) => {
      if (this.socket === socket) this.end(event.code === CLOSE_FORBIDDEN);
    });
    window.clearInterval(this.watchdog);
    this.watchdog = window.setInterval(() => {
      if (performance.now() - this.heardAt > SILENCE_MAX_MS) this.end(false);
    }, LOOK_EVERY_MS);
  }

  private hear(data: ArrayBuffer | string): void {
    this.heardAt = performance.now();
    if (typeof data !== 'string') {
      const part = readPart(data);
      if (part === null) return;
      clock.heard(part.sentMs);
      this.watches.get(part.id)?.sink.part(part);
      return;
    }
    const message = JSON.parse(data) as Message;
    switch (message.type) {
      case 'welcome':
        clock.heard(Date.parse(message.time));
        this.reopenMs = REOPEN_MIN_MS;
        this.tell('live');
        for (const [id, { wish }] of this.watches) this.send({ type: 'watch', id, ...wish });
        break;
      case 'opened':
        this.watches.get(message.id)?.sink.opened(message);
        break;
      case 'state':
        clock.heard(message.at_ms);
        for (const watch of message.watches) this.watches.get(watch.id)?.sink.state(watch);
        break;
      case 'closed':
        this.watches.get(message.id)?.sink.closed(message.code, message.detail);
        break;
    }
  }

  /** The connection is over, and not because nobody looks. */
  private end(isForbidden: boolean): void {
    window.clearInterval(this.watchdog);
    const { socket } = this;
    this.socket = null;
    socket?.close();
    this.tell(isForbidden ? 'forbidden' : 'lost');
    for (const { sink } of this.watches.values()) sink.lost();
    // Asking tells the frame when the log-in is over, which a WebSocket cannot.
    request('GET', '/me').catch(() => undefined);
    if (this.watches.size === 0) return;
    this.reopening = window.setTimeout(() => {
      if (this.watches.size > 0 && this.socket === null) this.connect();
    }, this.reopenMs);
    this.reopenMs = Math.min(this.reopenMs * 2, REOPEN_MAX_MS);
  }

  /** Nobody looks any more. */
  private rest(): void {
    if (this.watches.size > 0) return;
    window.clearInterval(this.watchdog);
    window.clearTimeout(this.reopening);
    const { socket } = this;
    this.socket = null;
    socket?.close();
    this.tell('idle');
  }

  private send(command: Command): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(command));
  }

  private tell(state: LinkState): void {
    if (state === this.state) return;
    this.state = state;
    for (const reader of this.readers) reader();
  }
}

/** The tab's one connection. */
export const liveLink = new LiveLink();
