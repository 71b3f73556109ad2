// Words of the ledger for people: tenure, relation, state of a card, why someone does not count.

import type { Key, Text } from '../../i18n';
import type { CardState, Tenure } from './types';

/** The relations that the spreadsheet's template offers; others are shown as they are. */
export const RELATIONS = [
  'tenant',
  'co-tenant',
  'owner',
  'spouse',
  'child',
  'minor-child',
  'parent',
  'sibling',
  'relative',
  'carer',
  'employee',
  'friend',
  'unstated',
  'other',
] as const;

const TENURES: Record<Tenure, Key> = {
  rented: 'office.tenure.rented',
  'owner-occupied': 'office.tenure.owner-occupied',
  dormitory: 'office.tenure.dormitory',
};

const CARD_STATES: Record<CardState, Key> = {
  active: 'office.card.active',
  lost: 'office.card.lost',
  revoked: 'office.card.revoked',
  expired: 'office.card.expired',
};

const WHY_NOT: Record<string, Key> = {
  ended: 'office.why.ended',
  'not-begun': 'office.why.not-begun',
  'no-card': 'office.why.no-card',
  'same-person': 'office.why.same-person',
};

export function tenureWord(t: Text, tenure: Tenure): string {
  return t(TENURES[tenure]);
}

export function cardWord(t: Text, state: CardState): string {
  return t(CARD_STATES[state]);
}

export function relationWord(t: Text, relation: string): string {
  const known = (RELATIONS as readonly string[]).includes(relation);
  return known ? t(`office.relation.${relation}` as Key) : relation;
}

/** Why a person does not count; the word is a relation when that is exempt. */
export function whyNotWord(t: Text, word: string): string {
  const key = WHY_NOT[word];
  return key ? t(key) : t('office.why.exempt', { relation: relationWord(t, word) });
}

/** Where a dwelling is: `3幢2单元 301`. */
export function addressOf(
  t: Text,
  at: { building: string | null; unit: string | null; place: string; number: string },
): string {
  if (at.building === null) {
    return `${at.place === 'compound' ? t('office.compound') : at.place} ${at.number}`;
  }
  const unit = at.unit ?? '';
  return t('office.address', { building: at.building, unit, number: at.number });
}

/** Sorts as people count: `2` before `10`, `3A` behind `3`. */
export function byNumber(a: string, b: string): number {
  return a.localeCompare(b, 'zh-CN', { numeric: true });
}
