// How many more may hold cards for a dwelling, as a word in a colour.

import { Tag } from 'antd';
import { useText } from '../../i18n';
import type { Dwelling } from './types';

export function FreeTag({ of }: { of: Pick<Dwelling, 'limit' | 'holders' | 'free' | 'over_limit'> }) {
  const t = useText();
  if (of.limit === null) return <span className="free">{t('office.unlimited')}</span>;
  if (of.over_limit) {
    return <Tag color="error">{t('office.tag.over', { n: of.holders - of.limit })}</Tag>;
  }
  if (of.free === 0) return <Tag color="warning">{t('office.tag.full')}</Tag>;
  return <span className="free">{t('office.tag.free', { n: of.free ?? 0 })}</span>;
}
