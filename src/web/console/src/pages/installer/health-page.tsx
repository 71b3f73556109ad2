// How every camera, door, linkage, disk and clock is, the worst first.

import { useQuery } from '@tanstack/react-query';
import { Input, Segmented, Select, Table, Tag } from 'antd';
import type { TableColumnsType } from 'antd';
import { useSearchParams } from 'react-router';
import { type Page, request } from '../../api/client';
import { isKey, type Text, useLanguage, useText } from '../../i18n';
import { bytesOf } from '../shared/bytes';
import { Failure } from '../shared/failure';
import { PageHead } from '../shared/page-head';
import { type Times, useTimes } from '../shared/times';
import type { HealthItem } from './types';

const ASK_EVERY_MS = 5_000;
const LEVELS = ['failed', 'degraded', 'ok'] as const;
const COLOURS = { failed: 'error', degraded: 'warning', ok: 'success' } as const;

export default function HealthPage() {
  const t = useText();
  const times = useTimes();
  const language = useLanguage();
  const [params, setParams] = useSearchParams();
  const level = params.get('level') ?? 'all';
  const part = params.get('part');
  const q = params.get('q') ?? '';
  const health = useQuery({
    queryKey: ['health'],
    refetchInterval: ASK_EVERY_MS,
    queryFn: ({ signal }) => request<Page<HealthItem>>('GET', '/health', { signal }),
  });
  const all = health.data?.items ?? [];
  const set = (name: string, value: string | null) => {
    setParams(
      (old) => {
        const next = new URLSearchParams(old);
        if (value) next.set(name, value);
        else next.delete(name);
        return next;
      },
      { replace: true },
    );
  };
  const count = (wanted: string) => all.filter((one) => one.level === wanted).length;
  const rows = all
    .filter(
      (one) =>
        (level === 'all' || one.level === level) &&
        (!part || one.part === part) &&
        (q === '' || `${one.id} ${one.place ?? ''}`.toLowerCase().includes(q.toLowerCase())),
    )
    .toSorted(
      (a, b) =>
        LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level) ||
        a.part.localeCompare(b.part) ||
        a.id.localeCompare(b.id, undefined, { numeric: true }),
    );
  const columns: TableColumnsType<HealthItem> = [
    {
      title: t('health.level'),
      dataIndex: 'level',
      width: 90,
      render: (one: HealthItem['level']) => <Tag color={COLOURS[one]}>{t(`health.${one}`)}</Tag>,
    },
    { title: t('health.part'), dataIndex: 'part', width: 110, render: (one: string) => partWord(t, one) },
    { title: t('install.id'), dataIndex: 'id', className: 'mono' },
    {
      title: t('health.text'),
      key: 'text',
      render: (_, one) => (
        <bdi className="wrap-anywhere">{language === 'zh' ? one.text_zh : one.text_en}</bdi>
      ),
    },
    {
      title: t('health.figures'),
      key: 'figures',
      width: '34%',
      responsive: ['lg'],
      render: (_, one) => <Figures figures={one.figures ?? {}} t={t} times={times} />,
    },
    {
      title: t('health.since'),
      dataIndex: 'since',
      width: 180,
      className: 'numbers nowrap',
      render: (at: string | null) => times.second(at),
    },
  ];
  return (
    <div className="health">
      <PageHead title={t('health.title')} hint={t('health.hint')} />
      <Failure error={health.error} retry={() => void health.refetch()} />
      <div className="office-filters">
        <Segmented
          aria-label={t('health.level')}
          value={level}
          options={[
            { value: 'all', label: `${t('health.all')} ${all.length}` },
            ...LEVELS.map((value) => ({ value, label: `${t(`health.${value}`)} ${count(value)}` })),
          ]}
          onChange={(value) => set('level', value === 'all' ? null : value)}
        />
        <Select
          allowClear
          className="office-tenure"
          aria-label={t('health.part')}
          placeholder={t('health.part.any')}
          value={part}
          options={[...new Set(all.map((one) => one.part))].map((value) => ({
            value,
            label: partWord(t, value),
          }))}
          onChange={(value) => set('part', value ?? null)}
        />
        <Input.Search
          allowClear
          className="office-search"
          aria-label={t('health.search')}
          placeholder={t('health.search')}
          defaultValue={q}
          onChange={(event) => set('q', event.target.value.trim())}
        />
      </div>
      <Table<HealthItem>
        size="small"
        rowKey={(one) => `${one.part}/${one.id}`}
        columns={columns}
        dataSource={rows}
        loading={health.isLoading}
        pagination={{ defaultPageSize: 100, hideOnSinglePage: true }}
        sticky
      />
    </div>
  );
}

function partWord(t: Text, part: string): string {
  const key = `health.part.${part}`;
  return isKey(key) ? t(key) : part;
}

/** Figures by their names: what ends in `_ms`, `_s`, `_bytes` or `ratio` is shown as such. */
function Figures({ figures, t, times }: { figures: Record<string, unknown>; t: Text; times: Times }) {
  const shown = Object.entries(figures).filter(
    ([, value]) => value !== null && value !== undefined && value !== '',
  );
  return (
    <span className="figures">
      {shown.map(([name, value]) => {
        const key = `health.figure.${name}`;
        return (
          <span key={name}>
            <span className="quiet">{isKey(key) ? t(key) : name}</span>{' '}
            <bdi className="numbers">{figure(name, value, times)}</bdi>
          </span>
        );
      })}
    </span>
  );
}

function figure(name: string, value: unknown, times: Times): string {
  if (typeof value === 'number') {
    if (name.endsWith('_ms')) return times.span(value);
    if (name.endsWith('_s')) return times.span(value * 1_000);
    if (name.endsWith('bytes')) return bytesOf(value);
    if (name.endsWith('bps')) return `${(value / 1e6).toFixed(2)} Mbit/s`;
    if (name.endsWith('ratio')) return `${(100 * value).toFixed(1)} %`;
    return Number.isInteger(value) ? String(value) : value.toFixed(2);
  }
  if (typeof value === 'string') {
    return name.endsWith('_at') ? times.second(value) : value;
  }
  return JSON.stringify(value);
}
