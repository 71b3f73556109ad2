// A place in words.

import type { Text } from '../../i18n';
import { byNumber } from '../office/words';
import type { StairwellRow } from './types';

export function placeWord(t: Text, stairwells: StairwellRow[], place: string): string {
  if (place === 'compound') return t('office.compound');
  const at = stairwells.find((one) => one.id === place);
  return at ? t('office.stairwell', { building: at.building, unit: at.unit }) : place;
}

/** All places to choose from, the gates last. */
export function placeOptions(t: Text, stairwells: StairwellRow[]) {
  const sorted = stairwells.toSorted((a, b) => byNumber(a.building, b.building) || byNumber(a.unit, b.unit));
  return [
    ...sorted.map((one) => ({ value: one.id, label: placeWord(t, stairwells, one.id) })),
    { value: 'compound', label: t('office.compound') },
  ];
}
