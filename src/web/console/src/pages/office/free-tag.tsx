// How many more may hold cards for a dwelling, as a word in a colour.

import { useText } from '../../i18n';
import { Tone } from '../shared/tone';
import type { Dwelling } from './types';

export function FreeTag({ of }: { of: Pick<Dwelling, 'limit' | 'holders' | 'free' | 'over_limit'> }) {
  const t = useText();
  if (of.limit === null) return <span className="free">{t('office.unlimited')}</span>;
  if (of.over_limit) {
    return <Tone tone="bad">{t('office.tag.over', { n: of.holders - of.limit })}</Tone>;
  }
  if (of.free === 0) return <Tone tone="warn">{t('office.tag.full')}</Tone>;
  return <span className="free">{t('office.tag.free', { n: of.free ?? 0 })}</span>;
}
