// What is searched for, and how the gateway is asked for it.
import type { Query } from '../../../api/client';

export interface Search {
  door: string | null;
  building: string | null;
  dwelling: string | null;
  decision: 'granted' | 'denied' | null;
  /** A cardholder's id: looked for with a reason only. */
  holder: string | null;
  /** Unix milliseconds. */
  from: number | null;
  to: number | null;
}

export const NOTHING: Search = {
  door: null, building: null, dwelling: null, decision: null, holder: null, from: null, to: null,
};

export function asked(search: Search): Query {
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  const { door, building, dwelling, decision, holder } = search;
  return { door, building, dwelling, decision, holder, from: iso(search.from), to: iso(search.to) };
}
