// Property office: every dwelling with its limit, over-limit ones first, by building.

import { DownloadOutlined, ImportOutlined, PlusOutlined } from '@ant-design/icons';
import { Alert, Button, Dropdown, Flex, Input, Segmented, Select, Space, Table } from 'antd';
import type { TableColumnsType } from 'antd';
import { useMemo, useState } from 'react';
import { Link, useNavigate, useSearchParams } from 'react-router';
import { useLanguage, useText } from '../../i18n';
import { may, useMe } from '../../session';
import { ReasonProvider, useReason } from '../duty/grounds';
import { PageHead } from '../shared/page-head';
import { Failure } from '../shared/failure';
import { BuildingList } from './building-list';
import { DwellingForm } from './dwelling-form';
import { FreeTag } from './free-tag';
import { useDwellings, useFound } from './data';
import { EXPORTS, takeFile } from './files';
import { filtered, overFirst, type Show, summed } from './lists';
import type { Dwelling } from './types';
import { addressOf, byNumber, tenureWord } from './words';

const SHOWS: Show[] = ['all', 'over', 'full', 'free'];
const PAGE_SIZES = ['50', '100', '200', '500'];

export default function OfficePage() {
  return (
    <ReasonProvider room="office">
      <Office />
    </ReasonProvider>
  );
}

function Office() {
  const t = useText();
  const { reason, need } = useReason();
  const [params, setParams] = useSearchParams();
  const building = params.get('building');
  const show = (params.get('show') ?? 'all') as Show;
  const tenure = params.get('tenure');
  const q = params.get('q') ?? '';
  const list = useDwellings();
  const found = useFound(q.trim(), reason);
  const [isAdding, setAdding] = useState(false);
  const me = useMe();
  const navigate = useNavigate();

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
  // A whole name is found by the gateway alone: those dwellings are shown beside what fits here.
  const byName = useMemo(() => new Set(found.data?.items.map((one) => one.id) ?? []), [found.data]);
  const rows = useMemo(
    () => filtered(list.dwellings, { building, show, tenure, q, byName }),
    [list.dwellings, building, show, tenure, q, byName],
  );
  const sums = useMemo(() => summed(list.dwellings), [list.dwellings]);

  return (
    <div className="office">
      <PageHead title={t('office.title')} hint={t('office.hint')}>
        <Files />
        {may(me, 'import-roster') && (
          <Button icon={<ImportOutlined aria-hidden />} onClick={() => void navigate('/office/import')}>
            {t('office.import')}
          </Button>
        )}
        {may(me, 'change-roster') && (
          <Button type="primary" icon={<PlusOutlined aria-hidden />} onClick={() => setAdding(true)}>
            {t('office.dwelling.add')}
          </Button>
        )}
      </PageHead>
      {list.error && <Failure error={list.error} retry={list.reload} />}
      {!list.isWhole && !list.isLoading && (
        <Alert type="info" showIcon title={t('office.loading.more', { n: list.dwellings.length })} />
      )}
      <div className="office-split">
        <BuildingList sums={sums} chosen={building} choose={(one) => set('building', one)} />
        <section aria-label={t('office.dwellings')}>
          <Flex gap={8} wrap align="center" className="office-filters">
            <Input.Search
              allowClear
              className="office-search"
              defaultValue={q}
              placeholder={t('office.search')}
              aria-label={t('office.search')}
              onSearch={(text) => set('q', text.trim())}
              onChange={(event) => event.target.value === '' && set('q', null)}
            />
            {q.trim().length > 1 && reason === null && may(me, 'see-names') && (
              <Button type="link" onClick={() => void need()}>{t('office.search.by-name')}</Button>
            )}
            <Segmented
              aria-label={t('office.show')}
              value={show}
              options={SHOWS.map((value) => ({ value, label: t(`office.show.${value}`) }))}
              onChange={(value) => set('show', value === 'all' ? null : value)}
            />
            <Select
              aria-label={t('office.tenure')}
              allowClear
              className="office-tenure"
              placeholder={t('office.tenure.any')}
              value={tenure}
              options={(['rented', 'owner-occupied', 'dormitory'] as const).map((value) => ({
                value,
                label: tenureWord(t, value),
              }))}
              onChange={(value) => set('tenure', value ?? null)}
            />
            <span className="office-count" role="status">
              {t('office.count', { n: rows.length, of: list.dwellings.length })}
            </span>
          </Flex>
          <DwellingTable rows={rows} isLoading={list.isLoading} />
        </section>
      </div>
      {isAdding && (
        <DwellingForm
          onClose={() => setAdding(false)}
          onDone={(id) => void navigate(`/office/dwellings/${encodeURIComponent(id)}`)}
        />
      )}
    </div>
  );
}

/** What can be taken away as a file. */
function Files() {
  const t = useText();
  const language = useLanguage();
  const [error, setError] = useState<Error | null>(null);
  const me = useMe();
  const items = EXPORTS.filter((one) => !one.needs || may(me, one.needs)).map((one) => ({
    key: one.key,
    label: t(one.label),
  }));
  return (
    <Space>
      {error && <Failure error={error} isSmall />}
      <Dropdown
        trigger={['click']}
        menu={{
          items,
          onClick: ({ key }) => {
            setError(null);
            takeFile(key, language).catch((err: Error) => setError(err));
          },
        }}
      >
        <Button icon={<DownloadOutlined aria-hidden />}>{t('office.files')}</Button>
      </Dropdown>
    </Space>
  );
}

function DwellingTable({ rows, isLoading }: { rows: Dwelling[]; isLoading: boolean }) {
  const t = useText();
  const navigate = useNavigate();
  const [pageSize, setPageSize] = useState(100);
  const columns: TableColumnsType<Dwelling> = [
    {
      title: t('office.col.address'),
      key: 'address',
      sorter: (a, b) => byNumber(addressOf(t, a), addressOf(t, b)),
      render: (_, one) => (
        <Link to={`/office/dwellings/${encodeURIComponent(one.id)}`} dir="auto">
          {addressOf(t, one)}
        </Link>
      ),
    },
    { title: t('office.col.id'), dataIndex: 'id', className: 'mono', responsive: ['xl'] },
    {
      title: t('office.col.area'),
      dataIndex: 'area_m2',
      align: 'right',
      className: 'numbers',
      sorter: (a, b) => Number(a.area_m2) - Number(b.area_m2),
    },
    {
      title: t('office.col.tenure'),
      dataIndex: 'tenure',
      render: (_, one) => tenureWord(t, one.tenure),
    },
    {
      title: t('office.col.limit'),
      dataIndex: 'limit',
      align: 'right',
      className: 'numbers',
      sorter: (a, b) => (a.limit ?? Infinity) - (b.limit ?? Infinity),
      render: (limit: number | null) => limit ?? t('office.unlimited'),
    },
    {
      title: t('office.col.holders'),
      dataIndex: 'holders',
      align: 'right',
      className: 'numbers',
      sorter: (a, b) => a.holders - b.holders,
    },
    {
      title: t('office.col.free'),
      key: 'free',
      defaultSortOrder: 'ascend',
      sorter: overFirst,
      render: (_, one) => <FreeTag of={one} />,
    },
  ];
  return (
    <Table<Dwelling>
      size="small"
      rowKey="id"
      columns={columns}
      dataSource={rows}
      loading={isLoading}
      sticky
      rowClassName={(one) => (one.over_limit ? 'row-over' : '')}
      onRow={(one) => ({
        onDoubleClick: () => void navigate(`/office/dwellings/${encodeURIComponent(one.id)}`),
      })}
      pagination={{
        pageSize,
        pageSizeOptions: PAGE_SIZES,
        showSizeChanger: true,
        onShowSizeChange: (_, size) => setPageSize(size),
        hideOnSinglePage: rows.length <= 50,
      }}
    />
  );
}
