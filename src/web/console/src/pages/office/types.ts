// What the ledger's part of the API answers (src/web/api/openapi.json: Dwelling, Resident, Card, …).

export type Tenure = 'rented' | 'owner-occupied' | 'dormitory';
export type LimitBasis = 'area' | 'owner-minimum' | 'beds' | 'unlimited' | 'not-in-effect';

export interface Reckoning {
  area_m2: string;
  m2_per_person: string;
  rule_version: number;
  basis: LimitBasis;
  /** Oldest first. */
  counted: string[];
  not_counted: { holder: string; why: string }[];
  /** The newest beyond the limit. */
  surplus: string[];
}

export interface Dwelling {
  id: string;
  place: string;
  building: string | null;
  unit: string | null;
  number: string;
  area_m2: string;
  tenure: Tenure;
  beds: number | null;
  from: string | null;
  to: string | null;
  /** null: no limit. */
  limit: number | null;
  holders: number;
  free: number | null;
  over_limit: boolean;
  reckoning: Reckoning;
  revision: number;
  on?: string;
}

export type CardState = 'active' | 'lost' | 'revoked' | 'expired';

export interface Card {
  id: string;
  card_ref: string;
  holder: string;
  dwelling?: string;
  state: CardState;
  valid_from: string | null;
  valid_until: string | null;
  issued_at: string;
  revision: number;
}

export interface Holder {
  id: string;
  dwelling: string;
  name?: string;
  person_key?: string;
  relation: string;
  from: string | null;
  to: string | null;
  added_at: string;
  removed_at: string | null;
  revision: number;
}

export interface Resident extends Holder {
  counted: boolean;
  why_not?: string;
  surplus: boolean;
  also_in: string[];
  cards: Card[];
}

export interface RefusedNote {
  asked: string;
  holder: string;
  day: string;
  limit: number | null;
  holders: number;
  reckoning: Reckoning;
}

interface ChangeBase {
  seq: number;
  at: string;
  by: { name: string; role: string };
  why?: string;
}

export type Change =
  | (ChangeBase & { what: 'dwelling'; before: DwellingFacts | null; after: DwellingFacts })
  | (ChangeBase & { what: 'cardholder'; before: Holder | null; after: Holder })
  | (ChangeBase & { what: 'card'; before: Card | null; after: Card })
  | (ChangeBase & { what: 'refused'; before: null; after: RefusedNote });

/** A dwelling's own facts, as the history keeps them. */
export interface DwellingFacts {
  id: string;
  place: string;
  number: string;
  area: string;
  tenure: Tenure;
  beds: number | null;
  from: string | null;
  to: string | null;
}

export interface Stairwell {
  id: string;
  building: string;
  unit: string;
}

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export interface Finding {
  sheet: string | null;
  row: number;
  column: string | null;
  heading: string | null;
  reason: string;
  en: string;
  zh: string;
}

export interface ChangeLine {
  sheet: string | null;
  row: number;
  change: string;
  dwelling: string;
  holder: string | null;
  card_ref: string | null;
  detail: string;
}

export interface ImportReport {
  dry_run: boolean;
  applied: boolean;
  rows: number;
  counts: Record<string, number>;
  changes: ChangeLine[];
  more_changes: number;
  refused: Finding[];
  more_refused: number;
  refused_rows: number;
  notes: Finding[];
  more_notes: number;
}
