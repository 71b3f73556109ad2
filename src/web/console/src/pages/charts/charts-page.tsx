// Entries and alerts by hour, response times, closure rate, storage and its forecast, uptime of cameras.

import { DownloadOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Button, Segmented } from 'antd';
import { useMemo, useState } from 'react';
import { useSearchParams } from 'react-router';
import { clock } from '../../api/clock';
import { download } from '../../api/client';
import { useText } from '../../i18n';
import { may, useMe } from '../../session';
import { Failure } from '../shared/failure';
import { PageHead } from '../shared/page-head';
import { ClosureChart, HoursChart, StepsChart } from './case-charts';
import { StorageChart, UptimeChart } from './system-charts';

const DAY_MS = 86_400_000;
/** The API gives hours for 31 days at most. */
const SPANS = { '1': 1, '7': 7, '31': 31 } as const;
type Span = keyof typeof SPANS;

export interface Period {
  from: string;
  to: string;
  days: number;
}

export default function ChartsPage() {
  const t = useText();
  const me = useMe();
  const [params, setParams] = useSearchParams();
  const asked = params.get('days');
  const span: Span = asked !== null && asked in SPANS ? (asked as Span) : '7';
  const [error, setError] = useState<Error | null>(null);
  // The end moves on with the minute, so that a page that stays open does not stand still.
  const { data: minute = 0 } = useQuery({
    queryKey: ['minute'],
    refetchInterval: 60_000,
    queryFn: () => Math.floor(clock.now() / 60_000),
    initialData: () => Math.floor(clock.now() / 60_000),
  });
  const period = useMemo<Period>(() => {
    const to = (minute + 1) * 60_000;
    const days = SPANS[span];
    return { from: new Date(to - days * DAY_MS).toISOString(), to: new Date(to).toISOString(), days };
  }, [minute, span]);
  const seesCases = may(me, 'see-statistics');
  return (
    <div className="charts">
      <PageHead title={t('charts.title')} hint={t('charts.hint')}>
        <Segmented
          aria-label={t('charts.period')}
          value={span}
          options={(Object.keys(SPANS) as Span[]).map((value) => ({
            value,
            label: t(`charts.days.${value}`),
          }))}
          onChange={(value) => setParams({ days: value }, { replace: true })}
        />
        {seesCases && (
          <Button
            icon={<DownloadOutlined aria-hidden />}
            onClick={() => {
              setError(null);
              download('/statistics.xlsx', { from: period.from, to: period.to }).catch((err: Error) =>
                setError(err),
              );
            }}
          >
            {t('charts.download')}
          </Button>
        )}
      </PageHead>
      <Failure error={error} />
      <div className="chart-grid">
        {seesCases && <HoursChart period={period} />}
        {seesCases && <StepsChart period={period} />}
        {seesCases && <ClosureChart period={period} />}
        {may(me, 'see-health') && <StorageChart />}
        {may(me, 'see-health') && <UptimeChart period={period} />}
      </div>
    </div>
  );
}
