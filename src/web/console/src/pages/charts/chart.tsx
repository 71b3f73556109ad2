// A chart with its table: the same figures to look at and to read, copy and hear.

import { BarChartOutlined, TableOutlined } from '@ant-design/icons';
import { Card, Empty, Segmented, Skeleton, Table } from 'antd';
import type { TableColumnsType } from 'antd';
import type { EChartsCoreOption } from 'echarts/core';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { useText } from '../../i18n';
import { Failure } from '../shared/failure';
import { useColours } from './colours';

export type Row = Record<string, string | number | null>;

export interface ChartProps {
  title: string;
  /** One sentence that says what the figures say. */
  summary?: ReactNode;
  option: EChartsCoreOption;
  columns: TableColumnsType<Row>;
  rows: Row[];
  rowKey: string;
  isLoading: boolean;
  error: Error | null;
  retry: () => void;
  height?: number;
  extra?: ReactNode;
}

export function ChartCard(props: ChartProps) {
  const t = useText();
  const [view, setView] = useState<'chart' | 'table'>('chart');
  const { title, summary, rows, isLoading, error } = props;
  return (
    <Card
      size="small"
      className="chart-card"
      title={<h2>{title}</h2>}
      extra={
        <span className="chart-extra">
          {props.extra}
          <Segmented
            size="small"
            value={view}
            onChange={setView}
            aria-label={t('charts.view')}
            options={[
              { value: 'chart', icon: <BarChartOutlined />, label: t('charts.view.chart') },
              { value: 'table', icon: <TableOutlined />, label: t('charts.view.table') },
            ]}
          />
        </span>
      }
    >
      {summary && <p className="chart-summary">{summary}</p>}
      <Failure error={error} retry={props.retry} />
      {isLoading && <Skeleton active />}
      {!isLoading && !error && rows.length === 0 && <Empty description={t('charts.empty')} />}
      {rows.length > 0 && view === 'chart' && (
        <Canvas option={props.option} label={title} height={props.height ?? 260} />
      )}
      {rows.length > 0 && view === 'table' && (
        <Table<Row>
          size="small"
          rowKey={props.rowKey}
          columns={props.columns}
          dataSource={rows}
          pagination={{ defaultPageSize: 24, hideOnSinglePage: true }}
        />
      )}
    </Card>
  );
}

type Engine = (typeof import('./engine'))['echarts'];

function Canvas({ option, label, height }: { option: EChartsCoreOption; label: string; height: number }) {
  const t = useText();
  const box = useRef<HTMLDivElement>(null);
  const colours = useColours();
  const [engine, setEngine] = useState<Engine | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const chart = useRef<ReturnType<Engine['init']> | null>(null);

  useEffect(() => {
    let isGone = false;
    import('./engine').then(
      (loaded) => {
        if (!isGone) setEngine(loaded.echarts);
      },
      (err: Error) => setError(err),
    );
    return () => {
      isGone = true;
    };
  }, []);
  useEffect(() => {
    const element = box.current;
    if (!engine || !element) return undefined;
    const made = engine.init(element);
    chart.current = made;
    const watcher = new ResizeObserver(() => made.resize());
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      made.dispose();
      chart.current = null;
    };
  }, [engine]);
  useEffect(() => {
    chart.current?.setOption(
      {
        animation: false,
        textStyle: { color: colours.text, fontFamily: 'inherit' },
        ...option,
      },
      { notMerge: true },
    );
  }, [engine, option, colours]);
  if (error) return <Failure error={error} />;
  return (
    <div
      ref={box}
      className="chart"
      style={{ height }}
      role="img"
      aria-label={t('charts.label', { title: label })}
      data-ready={engine !== null}
    />
  );
}
