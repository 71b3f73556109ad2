// The reckoning of a dwelling in plain words, and a refusal in the same words. Pure: text in, text out.

import type { Text } from '../../i18n';
import type { LimitBasis, Reckoning, Tenure } from './types';

/** What the words are made of; a dwelling has it, and so has a refusal. */
export interface Reckoned {
  limit: number | null;
  holders: number;
  tenure?: Tenure;
  beds?: number | null;
  reckoning: Pick<Reckoning, 'area_m2' | 'm2_per_person' | 'basis'>;
}

export interface ReckoningWords {
  /** How the limit comes about: `94.30 m² ÷ 12 m² = 7`. */
  sum: string;
  /** How many hold cards. */
  holding: string;
  /** What happens to the next person. */
  next: string;
  level: 'free' | 'full' | 'over' | 'closed';
}

const SUMS: Record<
  LimitBasis,
  'office.sum.area' | 'office.sum.owner' | 'office.sum.beds' | 'office.sum.unlimited' | 'office.sum.closed'
> = {
  area: 'office.sum.area',
  'owner-minimum': 'office.sum.owner',
  beds: 'office.sum.beds',
  unlimited: 'office.sum.unlimited',
  'not-in-effect': 'office.sum.closed',
};

/** The reckoning as three short sentences. */
export function inWords(t: Text, of: Reckoned): ReckoningWords {
  const { basis, area_m2: area, m2_per_person: each } = of.reckoning;
  const limit = of.limit ?? 0;
  const sum = t(SUMS[basis], { area, each, limit, quotient: quotient(area, each) });
  const holding = of.holders === 1 ? t('office.holding.one') : t('office.holding.many', { n: of.holders });
  if (basis === 'not-in-effect') {
    return { sum, holding, next: t('office.next.closed'), level: 'closed' };
  }
  if (of.limit === null) {
    return { sum, holding, next: t('office.next.unlimited'), level: 'free' };
  }
  const free = of.limit - of.holders;
  if (free > 0) {
    const next = free === 1 ? t('office.next.free.one') : t('office.next.free.many', { n: free });
    return { sum, holding, next, level: 'free' };
  }
  if (free === 0) {
    return { sum, holding, next: t('office.next.full'), level: 'full' };
  }
  const next = free === -1 ? t('office.next.over.one') : t('office.next.over.many', { n: -free });
  return { sum, holding, next, level: 'over' };
}

/** The three sentences as one. */
export function asSentence(t: Text, of: Reckoned): string {
  const words = inWords(t, of);
  return [words.sum, words.holding, words.next].join(t('office.reckoning.join'));
}

/** floor(area / each), both decimals with two places at most, in whole hundredths: nothing is rounded. */
export function quotient(area: string, each: string): number {
  const per = hundredths(each);
  return per > 0 ? Math.floor(hundredths(area) / per) : 0;
}

function hundredths(text: string): number {
  const [whole, part = ''] = text.split('.');
  return Number(whole) * 100 + Number(part.padEnd(2, '0').slice(0, 2));
}
