// The duty desk: alerts on the left; the wall, or the case in hand, on the right.
import { CloseOutlined, ExportOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useState } from 'react';
import { useNavigate, useSearchParams } from 'react-router';
import { useKeys } from '../../frame/keys';
import { useText } from '../../i18n';
import { may, useMe } from '../../session';
import { CasePanel } from './case/case-panel';
import { AlertList, listed, type Filter } from './feed/alert-list';
import { useDuty, useFeed } from './feed/feed';
import { Wall } from './wall/wall';
import '../../style/desk.css';

export default function Desk() {
  const t = useText();
  const me = useMe();
  const navigate = useNavigate();
  const { chime } = useDuty();
  const { alerts, isFilled, link } = useFeed();
  const [filter, setFilter] = useState<Filter>('open');
  const [params, setParams] = useSearchParams();
  const selected = params.get('alert');
  const select = (id: string | null) => setParams(id === null ? {} : { alert: id }, { replace: true });

  const move = (by: number) => {
    const ids = listed(alerts, filter).map((alert) => alert.id);
    const at = selected === null ? -1 : ids.indexOf(selected);
    const next = ids[at < 0 ? 0 : Math.min(ids.length - 1, Math.max(0, at + by))];
    if (next !== undefined) select(next);
  };
  useKeys('duty.nav.desk', [
    { key: 'j', label: 'duty.desk.key.next', act: () => move(1) },
    { key: 'k', label: 'duty.desk.key.previous', act: () => move(-1) },
    // With no case in hand these two are the wall's.
    ...(selected === null
      ? []
      : [
          { key: 'Enter', label: 'duty.desk.key.open' as const, act: () => void navigate(`/alerts/${selected}`) },
          { key: 'Escape', label: 'duty.desk.key.wall' as const, act: () => select(null) },
        ]),
    { key: 'm', label: 'duty.desk.key.mute', act: () => chime.mute(chime.snapshot() !== 'muted') },
  ]);
  const isStale = link.is === 'lost';
  return (
    <div className="sg-desk">
      <div className="sg-desk-list">
        {isStale && <div className="sg-desk-lost" role="alert">{t('duty.desk.lost')}</div>}
        <AlertList alerts={alerts} isFilled={isFilled} filter={filter} onFilter={setFilter} selected={selected} onSelect={select} />
      </div>
      <div className="sg-desk-main">
        {selected === null ? (
          may(me, 'see-live') && <Wall isCompact />
        ) : (
          <CasePanel
            key={selected}
            id={selected}
            link={
              <>
                <Button type="text" icon={<ExportOutlined aria-hidden />} href={`#/alerts/${selected}`}>{t('duty.case.page')}</Button>
                <Button type="text" icon={<CloseOutlined aria-hidden />} onClick={() => select(null)}>{t('duty.case.to-wall')}</Button>
              </>
            }
          />
        )}
      </div>
    </div>
  );
}
