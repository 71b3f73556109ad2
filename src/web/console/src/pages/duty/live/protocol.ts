// What crosses the live WebSocket: the gateway's protocol, version 1.

export const VERSION = 1;
/** The gateway allows so many on one connection. */
export const N_WATCHES_MAX = 16;
/** The gateway closes with this when the right to look was taken away. */
export const CLOSE_FORBIDDEN = 4403;

const HEADER_BYTES = 24;

export const KIND = { init: 0, keyFragment: 1, fragment: 2, jpeg: 3 } as const;

/** One binary message. */
export interface Part {
  kind: number;
  id: number;
  sequence: number;
  /** When its last frame arrived, in the gateway's Unix milliseconds. */
  frameMs: number;
  /** When the gateway sent it. */
  sentMs: number;
  /** What follows the header; not a copy. */
  payload: Uint8Array<ArrayBuffer>;
}

export interface Opened {
  type: 'opened';
  id: number;
  camera: string;
  stream: 'main' | 'sub';
  mode: 'mse' | 'picture';
  codec: string;
  mime: string;
  width: number;
  height: number;
  why?: string;
}

export interface WatchState {
  id: number;
  /** Milliseconds since the camera's last frame; `null`: there was none. */
  age_ms: number | null;
  is_up: boolean;
}

export type Message =
  | { type: 'welcome'; v: number; time: string }
  | Opened
  | { type: 'state'; at_ms: number; watches: WatchState[] }
  | { type: 'closed'; id: number; code: string; detail: string };

export type Command =
  | { type: 'hello'; v: number; codecs: string[] }
  | { type: 'watch'; id: number; camera: string; stream: 'auto' | 'main' | 'sub'; case?: string }
  | { type: 'unwatch'; id: number };

/** Reads a binary message; `null` when it is none of this version. */
export function readPart(bytes: ArrayBuffer): Part | null {
  if (bytes.byteLength < HEADER_BYTES) return null;
  const view = new DataView(bytes);
  if (view.getUint8(0) !== VERSION) return null;
  return {
    kind: view.getUint8(1),
    id: view.getUint16(2),
    sequence: view.getUint32(4),
    frameMs: Number(view.getBigUint64(8)),
    sentMs: Number(view.getBigUint64(16)),
    payload: new Uint8Array(bytes, HEADER_BYTES),
  };
}

/** What this browser's MSE can play, in the protocol's words. */
export function playableCodecs(): string[] {
  const can = (codec: string) =>
    'MediaSource' in window && MediaSource.isTypeSupported(`video/mp4; codecs="${codec}"`);
  const codecs: string[] = [];
  if (can('avc1.64001f')) codecs.push('h264');
  if (can('hvc1.1.6.L93.B0')) codecs.push('h265');
  return codecs;
}
