// The audit: who looked at what, when, from where and why; every change and every export.

import { DownloadOutlined, SearchOutlined } from '@ant-design/icons';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Button, Empty, Input, Select, Table } from 'antd';
import type { TableColumnsType } from 'antd';
import dayjs from 'dayjs';
import { useState } from 'react';
import { useSearchParams } from 'react-router';
import { download, type Page, request } from '../../api/client';
import { isKey, type Text, useText } from '../../i18n';
import { DayRange } from '../shared/day-range';
import { Failure } from '../shared/failure';
import { PageHead } from '../shared/page-head';
import { dayStart, useTimes } from '../shared/times';
import { Tone, type ToneName } from '../shared/tone';
import type { AuditItem } from './types';

const PAGE_ROWS = 100;
/** The acts that the gateway records, in the order of the choice. */
const ACTS = [
  'live',
  'picture',
  'clip',
  'thumbnail',
  'manifest',
  'person',
  'export',
  'change',
  'login',
  'login-failed',
  'logout',
  'prune',
] as const;
const COLOURS: Record<string, ToneName> = {
  live: 'info',
  picture: 'info',
  clip: 'info',
  thumbnail: 'info',
  manifest: 'info',
  person: 'info',
  export: 'warn',
  change: 'plain',
  'login-failed': 'bad',
};
/** What can be asked for; each is also in the address of the page. */
const FILTERS = ['who', 'act', 'place', 'q', 'from', 'to'] as const;
type Filter = (typeof FILTERS)[number];

export default function AuditPage() {
  const t = useText();
  const times = useTimes();
  const [params, setParams] = useSearchParams();
  const [error, setError] = useState<Error | null>(null);
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, params.get(name) ?? ''])) as Record<
    Filter,
    string
  >;
  const query = {
    who: wanted.who,
    act: wanted.act,
    place: wanted.place,
    q: wanted.q,
    from: wanted.from && dayStart(wanted.from, times.zone),
    // The last day is included.
    to: wanted.to && dayStart(dayjs(wanted.to).add(1, 'day').format('YYYY-MM-DD'), times.zone),
  };
  const audit = useInfiniteQuery({
    queryKey: ['audit', query],
    initialPageParam: '',
    queryFn: ({ pageParam, signal }) =>
      request<Page<AuditItem>>('GET', '/audit', {
        query: { ...query, limit: PAGE_ROWS, cursor: pageParam },
        signal,
      }),
    getNextPageParam: (last) => last.next_cursor,
  });
  const rows = audit.data?.pages.flatMap((page) => page.items) ?? [];
  const set = (change: Partial<Record<Filter, string | null>>) => {
    setParams(
      (old) => {
        const next = new URLSearchParams(old);
        for (const [name, value] of Object.entries(change)) {
          if (value) next.set(name, value);
          else next.delete(name);
        }
        return next;
      },
      { replace: true },
    );
  };
  return (
    <div className="audit">
      <PageHead title={t('audit.title')} hint={t('audit.hint')}>
        <Button
          icon={<DownloadOutlined aria-hidden />}
          onClick={() => {
            setError(null);
            download('/audit/export.csv', query).catch((err: Error) => setError(err));
          }}
        >
          {t('audit.export')}
        </Button>
      </PageHead>
      <Failure error={error ?? audit.error} retry={() => void audit.refetch()} />
      <div className="office-filters" role="search">
        <SearchField name="who" label={t('audit.who')} value={wanted.who} onSearch={(who) => set({ who })} />
        <Select
          className="audit-act"
          allowClear
          aria-label={t('audit.act')}
          placeholder={t('audit.act.any')}
          value={wanted.act || null}
          options={ACTS.map((value) => ({ value, label: actWord(t, value) }))}
          onChange={(act: string | null) => set({ act })}
        />
        <SearchField
          name="place"
          label={t('audit.place')}
          value={wanted.place}
          onSearch={(place) => set({ place })}
        />
        <DayRange
          value={[wanted.from ? dayjs(wanted.from) : null, wanted.to ? dayjs(wanted.to) : null]}
          onChange={(days) =>
            set({
              from: days?.[0]?.format('YYYY-MM-DD') ?? null,
              to: days?.[1]?.format('YYYY-MM-DD') ?? null,
            })
          }
        />
        <SearchField name="q" label={t('audit.q')} value={wanted.q} onSearch={(q) => set({ q })} isWide />
      </div>
      <Table<AuditItem>
        size="small"
        rowKey="number"
        columns={columnsOf(t, times, (who) => set({ who }))}
        dataSource={rows}
        loading={audit.isLoading}
        pagination={false}
        sticky
        scroll={{ x: 'max-content' }}
        locale={{ emptyText: <Empty description={t('audit.none')} /> }}
        expandable={{
          expandedRowRender: (one) => (
            <p className="audit-hash">
              {t('audit.hash')} <code>{one.hash}</code>
            </p>
          ),
        }}
      />
      {audit.hasNextPage && (
        <Button
          className="more"
          loading={audit.isFetchingNextPage}
          onClick={() => void audit.fetchNextPage()}
        >
          {t('app.more')}
        </Button>
      )}
    </div>
  );
}

function SearchField({
  name,
  label,
  value,
  onSearch,
  isWide,
}: {
  name: string;
  label: string;
  value: string;
  onSearch: (text: string) => void;
  isWide?: boolean;
}) {
  return (
    <Input
      // A choice made elsewhere on the page replaces what stands here.
      key={value}
      name={name}
      className={isWide ? 'audit-field audit-wide' : 'audit-field'}
      allowClear
      aria-label={label}
      placeholder={label}
      prefix={<SearchOutlined />}
      defaultValue={value}
      onPressEnter={(event) => onSearch(event.currentTarget.value.trim())}
      onBlur={(event) => {
        if (event.target.value.trim() !== value) onSearch(event.target.value.trim());
      }}
      onClear={() => onSearch('')}
      dir="auto"
    />
  );
}

function columnsOf(
  t: Text,
  times: ReturnType<typeof useTimes>,
  askFor: (who: string) => void,
): TableColumnsType<AuditItem> {
  return [
    { title: t('audit.number'), dataIndex: 'number', align: 'right', className: 'numbers' },
    {
      title: t('common.when'),
      dataIndex: 'at',
      className: 'numbers nowrap',
      render: (at: string) => times.second(at),
    },
    {
      title: t('common.who'),
      key: 'by',
      render: (_, { by }) =>
        by && (
          <span className="nowrap">
            <Button type="link" size="small" className="audit-who" onClick={() => askFor(by.name)}>
              <bdi>{by.name}</bdi>
            </Button>
            <span className="quiet">{roleWord(t, by.role)}</span>
          </span>
        ),
    },
    { title: t('audit.from'), dataIndex: 'from_address', className: 'mono' },
    {
      title: t('audit.act'),
      dataIndex: 'act',
      render: (act: string) => <Tone tone={COLOURS[act]}>{actWord(t, act)}</Tone>,
    },
    {
      title: t('audit.target'),
      key: 'target',
      render: (_, one) => (
        <span className="wrap-anywhere">
          {one.target && <bdi className="mono">{one.target}</bdi>}{' '}
          {one.place && one.place !== one.target && <bdi className="quiet">{one.place}</bdi>}
        </span>
      ),
    },
    {
      title: t('audit.detail'),
      dataIndex: 'detail',
      render: (text: string | null) => <bdi className="wrap-anywhere">{text}</bdi>,
    },
    {
      title: t('audit.reason'),
      key: 'reason',
      render: (_, one) => (
        <span className="wrap-anywhere">
          <bdi>{one.reason}</bdi>
          {one.case && (
            <>
              {' '}
              <span className="quiet">{t('audit.case')}</span> <code>{one.case}</code>
            </>
          )}
        </span>
      ),
    },
  ];
}

export function actWord(t: Text, act: string): string {
  const key = `audit.act.${act}`;
  return isKey(key) ? t(key) : act;
}

export function roleWord(t: Text, role: string): string {
  const key = `role.${role}`;
  return isKey(key) ? t(key) : role;
}
