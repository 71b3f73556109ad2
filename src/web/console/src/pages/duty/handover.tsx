// What a shift hands over to the next: what was done, by whom, and what is open now.
import { PrinterOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Button, DatePicker, Result, Segmented, Skeleton, Statistic, Table, Tag, type TableProps } from 'antd';
import dayjs, { type Dayjs } from 'dayjs';
import { useState } from 'react';
import { request } from '../../api/client';
import { clock } from '../../api/clock';
import { explain } from '../../api/explain';
import type { CaseState, Role, StepKind, Tier } from '../../api/types';
import { lengthText, useTimes } from '../../frame/time';
import { useLanguage, useText } from '../../i18n';
import { useSite } from './places';
import { Severity } from './severity';
import { kindWord } from './words';
import '../../style/desk.css';

interface OpenCase {
  alert: string;
  kind: string;
  severity: 1 | 2 | 3 | 4;
  place: string;
  raised_at: string;
  state: CaseState;
  due_step: StepKind | null;
  due_at: string | null;
  overdue: boolean;
  tier: Tier;
  party: string | null;
}

interface DoneBy {
  actor: { name: string; role: Role } | null;
  steps: Partial<Record<StepKind, number>>;
  late: number;
}

interface HandoverAnswer {
  from: string;
  to: string;
  opened: number;
  closed: number;
  cancelled: number;
  deadlines_passed: number;
  done_by: DoneBy[];
  open: number;
  overdue: number;
  open_cases: OpenCase[];
}

const HOURS = [8, 12, 24];
const STEPS: StepKind[] = ['acknowledge', 'dispatch', 'accept', 'resolve', 'verify', 'close', 'reopen', 'cancel'];
const HOUR_MS = 3_600_000;
const AGAIN_MS = 30_000;
const N_ROWS = 15;

export default function HandoverPage() {
  const t = useText();
  const times = useTimes();
  const [hours, setHours] = useState<number | null>(8);
  const [span, setSpan] = useState<[Dayjs, Dayjs] | null>(null);
  const { data, error, isLoading } = useQuery({
    queryKey: ['handover', hours, span?.map((at) => at.valueOf())],
    queryFn: () => {
      const now = clock.now();
      const [from, to] = span ? span.map((at) => at.valueOf()) : [now - (hours ?? 8) * HOUR_MS, now];
      const iso = (ms: number | undefined) => new Date(ms ?? now).toISOString();
      return request<HandoverAnswer>('GET', '/statistics/handover', { query: { from: iso(from), to: iso(to) } });
    },
    refetchInterval: span ? false : AGAIN_MS,
  });
  return (
    <div className="sg-page sg-handover">
      <header className="sg-page-head">
        <h2>{t('duty.handover.title')}</h2>
        <Segmented
          aria-label={t('duty.handover.shift')}
          value={span ? 0 : (hours ?? 0)}
          onChange={(value) => {
            setSpan(null);
            setHours(value);
          }}
          options={HOURS.map((n) => ({ value: n, label: t('duty.handover.hours', { n }) }))}
        />
        <DatePicker.RangePicker
          showTime={{ format: 'HH:mm' }}
          format="MM-DD HH:mm"
          value={span}
          maxDate={dayjs(clock.now())}
          onChange={(value) => setSpan(value?.[0] && value[1] ? [value[0], value[1]] : null)}
        />
        <span className="sg-gap" />
        <Button icon={<PrinterOutlined aria-hidden />} onClick={() => window.print()}>{t('duty.handover.print')}</Button>
      </header>
      {isLoading && <Skeleton active />}
      {error && <Result status="warning" title={explain(error, t)} />}
      {data && (
        <>
          <p className="sg-dim">{t('duty.handover.span', { from: times.moment(data.from), to: times.moment(data.to) })}</p>
          <div className="sg-figures">
            <Statistic title={t('duty.handover.opened')} value={data.opened} />
            <Statistic title={t('duty.handover.closed')} value={data.closed} />
            <Statistic title={t('duty.handover.cancelled')} value={data.cancelled} />
            <Statistic title={t('duty.handover.deadlines')} value={data.deadlines_passed} className={data.deadlines_passed > 0 ? 'sg-figure-bad' : ''} />
            <Statistic title={t('duty.handover.open')} value={data.open} />
            <Statistic title={t('duty.handover.overdue')} value={data.overdue} className={data.overdue > 0 ? 'sg-figure-bad' : ''} />
          </div>
          <h3>{t('duty.handover.open-now')}</h3>
          <OpenCases of={data.open_cases} />
          <h3>{t('duty.handover.by-whom')}</h3>
          <Done of={data.done_by} />
        </>
      )}
    </div>
  );
}

function OpenCases({ of }: { of: OpenCase[] }) {
  const t = useText();
  const times = useTimes();
  const site = useSite();
  const language = useLanguage();
  const columns: TableProps<OpenCase>['columns'] = [
    { title: t('duty.fact.severity'), dataIndex: 'severity', width: 90, render: (_, row) => <Severity of={row.severity} /> },
    { title: t('duty.fact.kind'), dataIndex: 'kind', render: (_, row) => <a href={`#/alerts/${row.alert}`}>{kindWord(row.kind, t)}</a> },
    { title: t('duty.fact.place'), dataIndex: 'place', render: (_, row) => site.name(row.place) },
    { title: t('duty.fact.at'), dataIndex: 'raised_at', render: (_, row) => times.moment(row.raised_at) },
    { title: t('duty.fact.state'), dataIndex: 'state', render: (_, row) => <Tag>{t(`duty.state.${row.state}`)}</Tag> },
    {
      title: t('duty.fact.next'),
      dataIndex: 'due_step',
      render: (_, row) => {
        if (row.due_step === null) return '';
        const step = t(`duty.step.${row.due_step}`);
        if (row.overdue || row.due_at === null) return <span className="sg-due" data-due="late">{t('duty.due.overdue', { step })}</span>;
        const left = Date.parse(row.due_at) - clock.now();
        return t('duty.due.left', { step, time: lengthText(left, language) });
      },
    },
    { title: t('duty.fact.party'), dataIndex: 'party', render: (_, row) => row.party ?? t(`duty.tier.${row.tier}`) },
  ];
  return (
    <Table<OpenCase>
      size="small"
      rowKey="alert"
      columns={columns}
      dataSource={of}
      pagination={{ pageSize: N_ROWS, hideOnSinglePage: true, showSizeChanger: false }}
      locale={{ emptyText: t('duty.desk.quiet.open') }}
    />
  );
}

function Done({ of }: { of: DoneBy[] }) {
  const t = useText();
  const columns: TableProps<DoneBy>['columns'] = [
    {
      title: t('duty.fact.who'),
      key: 'who',
      render: (_, row) => (row.actor ? <>{row.actor.name} <span className="sg-dim">{t(`role.${row.actor.role}`)}</span></> : t('app.unknown')),
    },
    ...STEPS.map((step) => ({
      title: t(`duty.step.${step}`), key: step, align: 'right' as const, render: (_: unknown, row: DoneBy) => row.steps[step] ?? '',
    })),
    { title: t('duty.case.late'), dataIndex: 'late', align: 'right', render: (late: number) => (late > 0 ? <b className="sg-due" data-due="late">{late}</b> : '') },
  ];
  return <Table<DoneBy> size="small" rowKey={(row) => row.actor?.name ?? ''} columns={columns} dataSource={of} pagination={false} locale={{ emptyText: t('duty.handover.nobody') }} />;
}
