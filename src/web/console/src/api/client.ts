// The one way to ask the gateway: JSON in and out, the CSRF header, problems as errors, a lost log-in told to the frame.
import { clock } from './clock';
import { ApiProblem, problemOf } from './problem';

export { ApiProblem } from './problem';

const BASE = '/api/v1';
/** Longest time to wait for an answer; the gateway's own limit is 30 s. */
const ANSWER_MAX_MS = 35_000;

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';
export type Query = Record<string, string | number | boolean | null | undefined>;

export interface RequestOptions {
  /** Sent as JSON, unless it is a `Blob` (a file, sent as it is). */
  body?: unknown;
  query?: Query;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** For long polls. */
  answerMaxMs?: number;
}

let csrf: string | null = null;
let onLoggedOut: (() => void) | null = null;

/** Sets what the next unsafe requests prove themselves with. */
export function setCsrf(value: string | null): void {
  csrf = value;
}

/** Sets what happens when the gateway says that the log-in is over. */
export function setOnLoggedOut(then: (() => void) | null): void {
  onLoggedOut = then;
}

/** The address of `path` with `query`; members without a value are left out. */
export function address(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') params.set(name, String(value));
  }
  const text = params.toString();
  return `${BASE}${path}${text === '' ? '' : `?${text}`}`;
}

/** Asks, and gives the raw answer when it is a good one. Throws an `ApiProblem` otherwise. */
export async function requestRaw(method: Method, path: string, options: RequestOptions = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', ...options.headers };
  let body: BodyInit | undefined;
  if (options.body instanceof Blob) {
    body = options.body;
  } else if (options.body !== undefined) {
    headers['Content-Type'] = 'application/json';
    body = JSON.stringify(options.body);
  }
  if (method !== 'GET' && csrf !== null) headers['X-Stairgate-Csrf'] = csrf;
  const limit = AbortSignal.timeout(options.answerMaxMs ?? ANSWER_MAX_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
  let response: Response;
  try {
    response = await fetch(address(path, options.query), { method, headers, body, signal, credentials: 'same-origin' });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiProblem(0, 'unreachable', error instanceof Error ? error.message : String(error));
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (problem.status === 401 && problem.code === 'unauthorized') onLoggedOut?.();
  throw problem;
}

/** Asks, and gives the JSON of the answer; `undefined` when it has no body. */
export async function request<T>(method: Method, path: string, options: RequestOptions = {}): Promise<T> {
  const response = await requestRaw(method, path, options);
  if (response.status === 204) return undefined as T;
  const value = (await response.json()) as T;
  if (typeof value === 'object' && value !== null && 'time' in value && typeof value.time === 'string') {
    clock.heard(Date.parse(value.time));
  }
  return value;
}

/** One page of a list. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/** Saves the file that `path` answers with, under the name the gateway gives it. */
export async function download(path: string, query: Query = {}, fallbackName = 'stairgate'): Promise<void> {
  const response = await requestRaw('GET', path, { query, headers: { Accept: '*/*' } });
  const named = /filename="([^"]+)"/.exec(response.headers.get('Content-Disposition') ?? '');
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement('a');
  link.href = url;
  link.download = named?.[1] ?? fallbackName;
  link.click();
  URL.revokeObjectURL(url);
}
