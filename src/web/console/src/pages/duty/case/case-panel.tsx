// One alert and its case: the clip beside the door as it is now, what it is, what can be done, what happened.
import { Button, Result, Skeleton, Tag } from 'antd';
import { useQueryClient } from '@tanstack/react-query';
import { explain } from '../../../api/explain';
import type { Alert } from '../../../api/types';
import { useServerNow, useTimes } from '../../../frame/time';
import { useLanguage, useText } from '../../../i18n';
import { may, useMe } from '../../../session';
import { ClipPlayer } from '../clip/clip-player';
import { useEntry } from '../clip/use-entry';
import { useSite, type SiteView } from '../places';
import { Severity } from '../severity';
import { reasonWord } from '../words';
import { Tile } from '../wall/tile';
import { Due } from './due';
import { History } from './history';
import { Pictures } from './pictures';
import { Steps } from './steps';
import { useAlert } from './use-alert';
import '../../../style/wall.css';
import '../../../style/case.css';

export function CasePanel({ id, link }: { id: string; link?: React.ReactNode }) {
  const t = useText();
  const language = useLanguage();
  const site = useSite();
  // Whoever may say that it is dealt with may show it.
  const mayAdd = may(useMe(), 'case-resolve');
  const client = useQueryClient();
  const { data: alert, error, refetch } = useAlert(id);
  if (error) {
    return <Result status="warning" title={explain(error, t)} extra={<Button onClick={() => void refetch()}>{t('app.retry')}</Button>} />;
  }
  if (!alert) return <Skeleton active className="sg-case" />;
  const again = () => void client.invalidateQueries({ queryKey: ['alert', id] });
  const isOpen = alert.case !== null && !['closed', 'cancelled'].includes(alert.case.state);
  return (
    <article className="sg-case" data-severity={alert.severity} data-alert={alert.id} data-state={alert.case?.state ?? ''}>
      <header className="sg-case-head">
        <Severity of={alert.severity} />
        <h2>{language === 'zh' ? alert.title_zh : alert.title_en}</h2>
        {alert.count > 1 && <Tag>× {alert.count}</Tag>}
        {alert.case && <Tag className="sg-state" data-state={alert.case.state}>{t(`duty.state.${alert.case.state}`)}</Tag>}
        <CaseDue alert={alert} />
        <span className="sg-gap" />
        {link}
      </header>
      <Steps alert={alert} onTaken={again} />
      <div className="sg-case-body">
        <Media alert={alert} site={site} />
        <div className="sg-case-side">
          <Facts alert={alert} site={site} />
          {alert.case?.moves && <History moves={alert.case.moves} />}
          {alert.case?.pictures && (
            <Pictures alertId={id} pictures={alert.case.pictures} mayAdd={isOpen && mayAdd} onAdded={again} />
          )}
        </div>
      </div>
    </article>
  );
}

function CaseDue({ alert }: { alert: Alert }) {
  const now = useServerNow();
  return alert.case ? <Due of={alert.case} now={now} /> : null;
}

function Media({ alert, site }: { alert: Alert; site: SiteView }) {
  const t = useText();
  const me = useMe();
  const camera = alert.camera ?? site.camerasOf(alert.door)[0];
  const showsClip = alert.entry_id !== null && may(me, 'see-clips');
  const showsLive = camera !== undefined && may(me, 'see-live');
  if (!showsClip && !showsLive) return null;
  return (
    <div className="sg-case-media">
      {showsClip && alert.entry_id !== null && (
        <section aria-label={t('duty.case.clip')}>
          <h3>{t('duty.case.clip')}</h3>
          <ClipPlayer entryId={alert.entry_id} grounds={{ case: alert.id }} hasKeys />
        </section>
      )}
      {showsLive && (
        <section aria-label={t('duty.case.now')}>
          <h3>{t('duty.case.now')}</h3>
          <div className="sg-case-live">
            <Tile camera={camera} place={site.name(alert.place)} forCase={alert.id} />
          </div>
        </section>
      )}
    </div>
  );
}

function Facts({ alert, site }: { alert: Alert; site: SiteView }) {
  const t = useText();
  const times = useTimes();
  const { data: entry } = useEntry(alert.entry_id);
  const rows: [string, React.ReactNode][] = [
    [t('duty.fact.at'), times.moment(alert.raised_at)],
    [t('duty.fact.place'), site.name(alert.place)],
  ];
  if (alert.door) rows.push([t('duty.fact.door'), alert.door]);
  if (alert.camera) rows.push([t('duty.fact.camera'), alert.camera]);
  if (entry) {
    const { outcome, reason } = entry.decision;
    rows.push([t('duty.fact.decision'), <Decision key="decision" outcome={outcome} reason={reason} />]);
    if (entry.card_ref) rows.push([t('duty.fact.card'), entry.card_ref]);
    if (entry.dwelling) rows.push([t('duty.fact.dwelling'), entry.dwelling]);
  }
  if (alert.dwelling && !entry?.dwelling) rows.push([t('duty.fact.dwelling'), alert.dwelling]);
  if (alert.ended_at) rows.push([t('duty.fact.ended'), times.moment(alert.ended_at)]);
  if (alert.case?.party) {
    rows.push([t('duty.fact.party'), `${alert.case.party} · ${t(`duty.tier.${alert.case.tier}`)}`]);
  }
  if (alert.detail !== '') rows.push([t('duty.fact.detail'), alert.detail]);
  return (
    <dl className="sg-facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Decision({ outcome, reason }: { outcome: 'granted' | 'denied'; reason: string }) {
  const t = useText();
  return (
    <span className="sg-decision" data-outcome={outcome}>
      {t(`duty.decision.${outcome}`)}
      {reason !== 'ok' && <small> {reasonWord(reason, t)}</small>}
    </span>
  );
}
