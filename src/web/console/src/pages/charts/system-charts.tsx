// The disk of the footage with its forecast, and how much of the time each camera was up.

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { request } from '../../api/client';
import { useText } from '../../i18n';
import { bytesOf } from '../shared/bytes';
import { useTimes } from '../shared/times';
import { number, percent } from './case-charts';
import { ChartCard, type Row } from './chart';
import type { Period } from './charts-page';
import { useColours } from './colours';
import { forecast } from './forecast';
import { storageOption, uptimeOption } from './options';

export interface Storage {
  footage_bytes: number;
  free_bytes: number;
  capacity_bytes: number;
  bytes_per_day: number | null;
  retention_days: number;
  days_until_floor: number | null;
  history: { day: string; bytes: number }[];
}

interface CameraUptime {
  camera: string;
  place: string | null;
  up_ratio: number | null;
  outages: number;
  longest_outage_s: number | null;
}

/** More bars than can be read one by one: the rest is in the table. */
const BARS_MAX = 25;

export function StorageChart() {
  const t = useText();
  const colours = useColours();
  const storage = useQuery({
    queryKey: ['figures-storage'],
    refetchInterval: 60_000,
    queryFn: ({ signal }) => request<Storage>('GET', '/figures/storage', { signal }),
  });
  const { data } = storage;
  const rows = useMemo(() => (data ? forecast(data) : []), [data]);
  const option = useMemo(
    () =>
      storageOption(colours, rows, data ? data.footage_bytes + data.free_bytes : null, {
        used: t('charts.storage.used'),
        forecast: t('charts.storage.forecast'),
        most: t('charts.storage.most'),
        bytes: bytesOf,
      }),
    [colours, rows, data, t],
  );
  return (
    <ChartCard
      title={t('charts.storage')}
      summary={
        data && (
          <>
            {t('charts.storage.summary', {
              used: bytesOf(data.footage_bytes),
              free: bytesOf(data.free_bytes),
              day: bytesOf(data.bytes_per_day),
            })}{' '}
            <strong>
              {data.days_until_floor === null
                ? t('charts.storage.enough', { days: data.retention_days })
                : t('charts.storage.floor', { days: Math.floor(data.days_until_floor) })}
            </strong>
          </>
        )
      }
      option={option}
      rows={rows as unknown as Row[]}
      rowKey="day"
      columns={[
        { title: t('charts.day'), dataIndex: 'day', className: 'numbers' },
        { ...number(t('charts.storage.used'), 'bytes'), render: bytesOf },
        { ...number(t('charts.storage.forecast'), 'forecast'), render: bytesOf },
      ]}
      isLoading={storage.isLoading}
      error={storage.error}
      retry={() => void storage.refetch()}
    />
  );
}

export function UptimeChart({ period }: { period: Period }) {
  const t = useText();
  const times = useTimes();
  const colours = useColours();
  const cameras = useQuery({
    queryKey: ['figures-cameras', period],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) =>
      request<{ items: CameraUptime[] }>('GET', '/figures/cameras', {
        query: { from: period.from, to: period.to },
        signal,
      }),
  });
  const items = cameras.data?.items;
  const rows = useMemo(
    () =>
      (items ?? []).toSorted(
        (a, b) => (a.up_ratio ?? 2) - (b.up_ratio ?? 2) || a.camera.localeCompare(b.camera),
      ),
    [items],
  );
  const drawn = useMemo(
    () =>
      rows
        .filter((one): one is CameraUptime & { up_ratio: number } => one.up_ratio !== null)
        .slice(0, BARS_MAX),
    [rows],
  );
  const option = useMemo(() => uptimeOption(colours, drawn, t('charts.uptime')), [colours, drawn, t]);
  const nBad = rows.filter((one) => one.up_ratio !== null && one.up_ratio < 0.99).length;
  return (
    <ChartCard
      title={t('charts.uptime')}
      summary={t('charts.uptime.summary', { n: rows.length, bad: nBad })}
      option={option}
      rows={rows as unknown as Row[]}
      rowKey="camera"
      height={Math.max(120, 32 + drawn.length * 22)}
      columns={[
        { title: t('charts.camera'), dataIndex: 'camera', className: 'mono' },
        {
          ...number(t('charts.uptime'), 'up_ratio'),
          render: (value: number | null) => (value === null ? '–' : percent(value)),
        },
        number(t('charts.outages'), 'outages'),
        {
          ...number(t('charts.longest'), 'longest_outage_s'),
          render: (s: number | null) => times.span(s === null ? null : s * 1_000),
        },
      ]}
      isLoading={cameras.isLoading}
      error={cameras.error}
      retry={() => void cameras.refetch()}
    />
  );
}
