// The alerts beside the wall: most severe first, what nobody has taken note of before the rest.
import { Empty, Segmented } from 'antd';
import { useEffect, useMemo, useRef } from 'react';
import type { Alert } from '../../../api/types';
import { useServerNow, useTimes } from '../../../frame/time';
import { useLanguage, useText } from '../../../i18n';
import { Due } from '../case/due';
import { useSite } from '../places';
import { Severity } from '../severity';
import { isOpen } from './alert-feed';

export const FILTERS = ['raised', 'open', 'all'] as const;
export type Filter = (typeof FILTERS)[number];

/** Rows drawn; a flood is counted. */
const N_ROWS_MAX = 200;

/** What `filter` shows, in the order of the list. */
export function listed(alerts: ReadonlyMap<string, Alert>, filter: Filter): Alert[] {
  const newest = (a: Alert, b: Alert) => (a.raised_at < b.raised_at ? 1 : a.raised_at > b.raised_at ? -1 : a.id < b.id ? -1 : 1);
  const all = [...alerts.values()];
  if (filter === 'all') return all.sort(newest);
  const wanted = all.filter((alert) => (filter === 'raised' ? alert.case?.state === 'raised' : isOpen(alert)));
  const unnoticed = (alert: Alert) => (alert.case?.state === 'raised' ? 0 : 1);
  return wanted.sort((a, b) => a.severity - b.severity || unnoticed(a) - unnoticed(b) || newest(a, b));
}

export function AlertList({ alerts, isFilled, filter, onFilter, selected, onSelect }: {
  alerts: ReadonlyMap<string, Alert>;
  isFilled: boolean;
  filter: Filter;
  onFilter: (filter: Filter) => void;
  selected: string | null;
  onSelect: (id: string) => void;
}) {
  const t = useText();
  const now = useServerNow();
  const rows = useMemo(() => listed(alerts, filter), [alerts, filter]);
  const count = (of: Filter) => listed(alerts, of).length;
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    list.current?.querySelector('[aria-current="true"]')?.scrollIntoView({ block: 'nearest' });
  }, [selected]);
  return (
    <section className="sg-alerts" aria-label={t('duty.desk.alerts')}>
      <Segmented<Filter>
        block
        value={filter}
        onChange={onFilter}
        options={FILTERS.map((of) => ({
          value: of,
          label: of === 'all' ? t('duty.filter.all') : `${t(`duty.filter.${of}`)} ${count(of)}`,
        }))}
      />
      {rows.length === 0 && (
        <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={isFilled ? t(`duty.desk.quiet.${filter}`) : t('app.loading')} />
      )}
      <ul ref={list} className="sg-alert-list">
        {rows.slice(0, N_ROWS_MAX).map((alert) => (
          <Row key={alert.id} alert={alert} now={now} isSelected={alert.id === selected} onSelect={onSelect} />
        ))}
      </ul>
      {rows.length > N_ROWS_MAX && <p className="sg-dim">{t('duty.desk.more', { n: rows.length - N_ROWS_MAX })}</p>}
    </section>
  );
}

function Row({ alert, now, isSelected, onSelect }: {
  alert: Alert;
  now: number;
  isSelected: boolean;
  onSelect: (id: string) => void;
}) {
  const t = useText();
  const language = useLanguage();
  const times = useTimes();
  const site = useSite();
  const state = alert.case?.state;
  return (
    <li>
      <button
        type="button"
        className="sg-alert"
        data-alert={alert.id}
        data-severity={alert.severity}
        data-state={state ?? ''}
        aria-current={isSelected}
        onClick={() => onSelect(alert.id)}
      >
        <span className="sg-alert-first">
          <Severity of={alert.severity} />
          <b>{language === 'zh' ? alert.title_zh : alert.title_en}</b>
          {alert.count > 1 && <span className="sg-dim">× {alert.count}</span>}
          <time dateTime={alert.raised_at}>{times.clock(alert.raised_at)}</time>
        </span>
        <span className="sg-alert-second">
          <span className="sg-alert-place">{site.name(alert.place)}{alert.door ? ` · ${alert.door}` : ''}</span>
          {state && <span className="sg-alert-state" data-state={state}>{t(`duty.state.${state}`)}</span>}
          {alert.case && isOpen(alert) && <Due of={alert.case} now={now} />}
        </span>
      </button>
    </li>
  );
}
