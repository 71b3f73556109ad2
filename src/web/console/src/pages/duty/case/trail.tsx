// The trail of a case: what happened at its door and the doors beside it, in the minutes around.
import { PlayCircleOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Button, Empty, Modal, Result, Segmented, Skeleton, Tag } from 'antd';
import { useState } from 'react';
import { request } from '../../../api/client';
import { explain } from '../../../api/explain';
import type { Alert, Entry } from '../../../api/types';
import { useTimes } from '../../../frame/time';
import { useLanguage, useText } from '../../../i18n';
import { may, useMe } from '../../../session';
import { ClipPlayer } from '../clip/clip-player';
import { useSite } from '../places';
import { Severity } from '../severity';
import { Decision } from './case-panel';

interface Step {
  at: string;
  kind: 'entry' | 'alert';
  entry?: Entry;
  alert?: Alert;
}

interface TrailAnswer {
  items: Step[];
  from: string;
  to: string;
  doors: string[];
}

const MINUTES = [2, 5, 15, 30];
const MINUTES_USUAL = 5;

export function Trail({ alert }: { alert: Alert }) {
  const t = useText();
  const times = useTimes();
  const [minutes, setMinutes] = useState(MINUTES_USUAL);
  const [playing, setPlaying] = useState<string | null>(null);
  const { data, error, isLoading } = useQuery({
    queryKey: ['trail', alert.id, minutes],
    queryFn: () => request<TrailAnswer>('GET', `/alerts/${alert.id}/trail`, { query: { minutes } }),
  });
  return (
    <section className="sg-trail" aria-label={t('duty.trail.title')}>
      <header>
        <h3>{t('duty.trail.title')}</h3>
        <Segmented
          size="small"
          aria-label={t('duty.trail.minutes')}
          value={minutes}
          onChange={setMinutes}
          options={MINUTES.map((n) => ({ value: n, label: t('duty.trail.around', { n }) }))}
        />
      </header>
      {isLoading && <Skeleton active />}
      {error && <Result status="warning" title={explain(error, t)} />}
      {data && <p className="sg-dim">{t('duty.trail.span', { from: times.clock(data.from), to: times.clock(data.to), n: data.doors.length })}</p>}
      {data?.items.length === 0 && <Empty description={t('duty.trail.none')} />}
      {data && (
        <ol className="sg-trail-list">
          {data.items.map((step) => (
            <TrailRow
              key={`${step.kind}-${step.entry?.id ?? step.alert?.id ?? step.at}`}
              step={step}
              isOwn={step.alert?.id === alert.id || (step.entry !== undefined && step.entry.id === alert.entry_id)}
              onPlay={setPlaying}
            />
          ))}
        </ol>
      )}
      <Modal open={playing !== null} onCancel={() => setPlaying(null)} footer={null} width={860} title={t('duty.case.clip')} destroyOnHidden>
        {playing !== null && <ClipPlayer entryId={playing} grounds={{ case: alert.id }} />}
      </Modal>
    </section>
  );
}

function TrailRow({ step, isOwn, onPlay }: { step: Step; isOwn: boolean; onPlay: (entry: string) => void }) {
  const t = useText();
  const language = useLanguage();
  const times = useTimes();
  const site = useSite();
  const me = useMe();
  const { entry, alert } = step;
  const door = entry?.door ?? alert?.door ?? '';
  return (
    <li data-own={isOwn} data-kind={step.kind}>
      <time dateTime={step.at}>{times.clock(step.at)}</time>
      <span className="sg-trail-door">{door || site.name(alert?.place ?? '')}</span>
      {entry && (
        <span className="sg-trail-what">
          <Decision outcome={entry.decision.outcome} reason={entry.decision.reason} />
          <span className="sg-dim">
            {t(`duty.direction.${entry.direction}`)}
            {entry.dwelling ? ` · ${entry.dwelling}` : ''}
            {entry.card_ref ? ` · ${entry.card_ref}` : ''}
          </span>
        </span>
      )}
      {alert && (
        <span className="sg-trail-what">
          <Severity of={alert.severity} />
          <a href={`#/alerts/${alert.id}`}>{language === 'zh' ? alert.title_zh : alert.title_en}</a>
        </span>
      )}
      {isOwn && <Tag color="blue">{t('duty.trail.own')}</Tag>}
      {entry && may(me, 'see-clips') && entry.clip.state !== 'missed' && (
        <Button size="small" type="text" icon={<PlayCircleOutlined aria-hidden />} aria-label={t('duty.entries.play', { door })} onClick={() => onPlay(entry.id)} />
      )}
    </li>
  );
}
