// Entries and alerts by hour, and how fast cases are handled and closed.

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { request } from '../../api/client';
import { isKey, type Text, useText } from '../../i18n';
import { useTimes } from '../shared/times';
import { ChartCard } from './chart';
import type { Period } from './charts-page';
import { useColours } from './colours';
import { closureOption, hoursOption, stepsOption } from './options';

interface HourItem {
  from: string;
  entries: number;
  granted: number;
  denied: number;
  alerts: number;
}

interface Figures {
  alerts: number;
  cases: number;
  closed: number;
  cancelled: number;
  closure_rate: number | null;
  overdue: number;
  steps: Record<string, { n: number; p50_ms: number | null; p95_ms: number | null }>;
}

interface Statistics {
  total: Figures;
  by_period: Record<string, Figures>;
}

/** In the order in which a case goes through them. */
const STEPS = ['acknowledge', 'dispatch', 'accept', 'resolve', 'verify', 'close'];

export function HoursChart({ period }: { period: Period }) {
  const t = useText();
  const times = useTimes();
  const colours = useColours();
  const hours = useQuery({
    queryKey: ['figures-hours', period],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) =>
      request<{ items: HourItem[] }>('GET', '/figures/hours', {
        query: { from: period.from, to: period.to },
        signal,
      }),
  });
  const items = hours.data?.items;
  const rows = useMemo(
    () =>
      (items ?? []).map((one) => {
        const at = times.minute(one.from);
        // Over a day the hour says enough.
        return { ...one, at, label: period.days === 1 ? at.slice(11) : at.slice(5) };
      }),
    [items, times, period.days],
  );
  const option = useMemo(
    () =>
      hoursOption(colours, rows, {
        granted: t('charts.granted'),
        denied: t('charts.denied'),
        alerts: t('charts.alerts'),
      }),
    [colours, rows, t],
  );
  const sum = (of: (one: HourItem) => number) => rows.reduce((total, one) => total + of(one), 0);
  return (
    <ChartCard
      title={t('charts.hours')}
      summary={t('charts.hours.summary', {
        entries: sum((one) => one.entries),
        denied: sum((one) => one.denied),
        alerts: sum((one) => one.alerts),
      })}
      option={option}
      rows={rows}
      rowKey="from"
      columns={[
        { title: t('charts.hour'), dataIndex: 'at', className: 'numbers' },
        number(t('charts.entries'), 'entries'),
        number(t('charts.granted'), 'granted'),
        number(t('charts.denied'), 'denied'),
        number(t('charts.alerts'), 'alerts'),
      ]}
      height={300}
      isLoading={hours.isLoading}
      error={hours.error}
      retry={() => void hours.refetch()}
    />
  );
}

function useStatistics(period: Period) {
  return useQuery({
    queryKey: ['statistics', period],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) =>
      request<Statistics>('GET', '/statistics', {
        query: { from: period.from, to: period.to, period: 'day' },
        signal,
      }),
  });
}

export function StepsChart({ period }: { period: Period }) {
  const t = useText();
  const times = useTimes();
  const colours = useColours();
  const statistics = useStatistics(period);
  const total = statistics.data?.total;
  const rows = useMemo(
    () =>
      STEPS.flatMap((step) => {
        const of = total?.steps[step];
        return of && of.n > 0 ? [{ step, label: stepWord(t, step), ...of }] : [];
      }),
    [total, t],
  );
  const option = useMemo(
    () => stepsOption(colours, rows, { p50: t('charts.p50'), p95: t('charts.p95'), span: times.span }),
    [colours, rows, t, times],
  );
  const span = (ms: number | null) => times.span(ms);
  return (
    <ChartCard
      title={t('charts.steps')}
      summary={t('charts.steps.summary')}
      option={option}
      rows={rows}
      rowKey="step"
      columns={[
        { title: t('charts.step'), dataIndex: 'label' },
        number(t('charts.n'), 'n'),
        { ...number(t('charts.p50'), 'p50_ms'), render: span },
        { ...number(t('charts.p95'), 'p95_ms'), render: span },
      ]}
      isLoading={statistics.isLoading}
      error={statistics.error}
      retry={() => void statistics.refetch()}
    />
  );
}

export function ClosureChart({ period }: { period: Period }) {
  const t = useText();
  const colours = useColours();
  const statistics = useStatistics(period);
  const periods = statistics.data?.by_period;
  const rows = useMemo(
    () =>
      Object.entries(periods ?? {})
        .toSorted(([a], [b]) => a.localeCompare(b))
        .map(([day, of]) => ({
          day,
          label: day.slice(5),
          cases: of.cases,
          closed: of.closed,
          cancelled: of.cancelled,
          overdue: of.overdue,
          rate: of.closure_rate,
        })),
    [periods],
  );
  const option = useMemo(
    () =>
      closureOption(colours, rows, {
        cases: t('charts.cases'),
        closed: t('charts.closed'),
        rate: t('charts.rate'),
      }),
    [colours, rows, t],
  );
  const rate = statistics.data?.total.closure_rate ?? null;
  return (
    <ChartCard
      title={t('charts.closure')}
      summary={
        rate === null ? t('charts.closure.none') : t('charts.closure.summary', { rate: percent(rate) })
      }
      option={option}
      rows={rows}
      rowKey="day"
      columns={[
        { title: t('charts.day'), dataIndex: 'day', className: 'numbers' },
        number(t('charts.cases'), 'cases'),
        number(t('charts.closed'), 'closed'),
        number(t('charts.cancelled'), 'cancelled'),
        number(t('charts.overdue'), 'overdue'),
        {
          ...number(t('charts.rate'), 'rate'),
          render: (value: number | null) => (value === null ? '–' : percent(value)),
        },
      ]}
      isLoading={statistics.isLoading}
      error={statistics.error}
      retry={() => void statistics.refetch()}
    />
  );
}

export function number(title: string, dataIndex: string) {
  return { title, dataIndex, align: 'right' as const, className: 'numbers' };
}

/** Rounded down: 100 % is said of a whole only. */
export function percent(ratio: number): string {
  return `${(Math.floor(ratio * 1_000) / 10).toFixed(1)} %`;
}

function stepWord(t: Text, step: string): string {
  const key = `charts.step.${step}`;
  return isKey(key) ? t(key) : step;
}
