// What happened to a case: who, when, what they said, whether it was late.
import { Tag } from 'antd';
import type { Move } from '../../../api/types';
import { useTimes } from '../../../frame/time';
import { useText } from '../../../i18n';

export function History({ moves }: { moves: Move[] }) {
  const t = useText();
  const times = useTimes();
  return (
    <ol className="sg-history" aria-label={t('duty.case.history')}>
      {moves.map((move, idx) => (
        <li key={`${move.at}-${idx}`} data-kind={move.kind} data-late={move.late}>
          <time dateTime={move.at}>{times.moment(move.at)}</time>
          <div>
            <strong>{t(`duty.move.${move.kind}`)}</strong>
            {move.by && <span className="sg-dim"> {move.by.name} · {t(`role.${move.by.role}`)}</span>}
            {move.late && <Tag color="error">{t('duty.case.late')}</Tag>}
            {move.party && <span className="sg-dim"> {t('duty.case.to', { party: move.party, tier: t(`duty.tier.${move.tier}`) })}</span>}
            {move.note && <p>{move.note}</p>}
          </div>
        </li>
      ))}
    </ol>
  );
}
