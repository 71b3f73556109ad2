// Buildings and stairwells: by the dozen, from a spreadsheet, or one by one.

import { DeleteOutlined, DownloadOutlined, PlusOutlined, UploadOutlined } from '@ant-design/icons';
import { Alert, Button, Card, Flex, Input, Space, Table, Upload } from 'antd';
import { useState } from 'react';
import { download, request } from '../../api/client';
import { useLanguage, useText } from '../../i18n';
import { byNumber } from '../office/words';
import { Failure } from '../shared/failure';
import { makeStairwells } from './bulk';
import type { StepProps } from './compound-step';
import { type Lists, withoutRow } from './draft';
import type { CameraRow, DoorRow, StairwellRow } from './types';

/** What there is with the file laid over it; nothing is written yet. */
interface FromSheet {
  rows: number;
  stairwells: StairwellRow[];
  cameras: CameraRow[];
  doors: DoorRow[];
  problems: SheetProblem[];
}

interface SheetProblem {
  sheet: string | null;
  row: number | null;
  column: string | null;
  text_zh: string;
  text_en: string;
}

/** More problems than are read one by one. */
const PROBLEMS_SHOWN_MAX = 20;

export function StairwellStep({ lists, edit, canEdit, isDirty }: StepProps & { isDirty: boolean }) {
  const t = useText();
  const rows = lists.stairwells.toSorted(
    (a, b) => byNumber(a.building, b.building) || byNumber(a.unit, b.unit),
  );
  const used = new Set([...lists.cameras, ...lists.doors].map((one) => one.place));
  return (
    <>
      {canEdit && (
        <div className="install-tools">
          <Bulk lists={lists} edit={edit} />
          <Sheet edit={edit} isDirty={isDirty} />
        </div>
      )}
      <Table<StairwellRow>
        size="small"
        rowKey="id"
        dataSource={rows}
        pagination={{ defaultPageSize: 50, hideOnSinglePage: true }}
        columns={[
          { title: t('install.building'), dataIndex: 'building' },
          { title: t('install.unit'), dataIndex: 'unit' },
          { title: t('install.id'), dataIndex: 'id', className: 'mono' },
          {
            title: '',
            key: 'actions',
            align: 'right',
            render: (_, one) =>
              canEdit && (
                <Button
                  size="small"
                  type="text"
                  danger
                  icon={<DeleteOutlined aria-hidden />}
                  disabled={used.has(one.id)}
                  title={used.has(one.id) ? t('install.stairwell.used') : undefined}
                  aria-label={t('install.remove', { id: one.id })}
                  onClick={() => edit({ stairwells: withoutRow(lists.stairwells, one.id) })}
                />
              ),
          },
        ]}
      />
    </>
  );
}

function Bulk({ lists, edit }: { lists: Lists; edit: StepProps['edit'] }) {
  const t = useText();
  const [buildings, setBuildings] = useState('');
  const [units, setUnits] = useState('1-2');
  const made = buildings.trim() === '' ? null : makeStairwells(lists.stairwells, buildings, units);
  const isBad = buildings.trim() !== '' && made === null;
  return (
    <Card size="small" title={t('install.bulk')}>
      <Flex gap={8} wrap align="end">
        <label>
          <span className="field-label">{t('install.bulk.buildings')}</span>
          <Input
            value={buildings}
            placeholder="1-12, 15, 3A"
            status={isBad ? 'error' : undefined}
            onChange={(event) => setBuildings(event.target.value)}
          />
        </label>
        <label>
          <span className="field-label">{t('install.bulk.units')}</span>
          <Input
            value={units}
            placeholder="1-4"
            status={isBad ? 'error' : undefined}
            onChange={(event) => setUnits(event.target.value)}
          />
        </label>
        <Button
          type="primary"
          icon={<PlusOutlined aria-hidden />}
          disabled={!made || made.rows.length === 0}
          onClick={() => {
            if (made) edit({ stairwells: [...lists.stairwells, ...made.rows] });
            setBuildings('');
          }}
        >
          {t('install.bulk.add', { n: made?.rows.length ?? 0 })}
        </Button>
      </Flex>
      <p className="quiet" role="status">
        {isBad && t('install.bulk.bad')}
        {made &&
          t('install.bulk.preview', {
            ids:
              made.rows
                .slice(0, 4)
                .map((one) => one.id)
                .join(', ') || t('common.none'),
            more: made.rows.length > 4 ? '…' : '',
            there: made.nThere,
          })}
      </p>
    </Card>
  );
}

function Sheet({ edit, isDirty }: { edit: StepProps['edit']; isDirty: boolean }) {
  const t = useText();
  const [error, setError] = useState<Error | null>(null);
  const [read, setRead] = useState<FromSheet | null>(null);
  const [isBusy, setBusy] = useState(false);

  const take = async (file: File) => {
    setBusy(true);
    setError(null);
    try {
      const found = await request<FromSheet>('POST', '/site/spreadsheet', { body: file });
      setRead(found);
      if (found.problems.length === 0) {
        edit({ stairwells: found.stairwells, cameras: found.cameras, doors: found.doors });
      }
    } catch (err) {
      setError(err as Error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Card size="small" title={t('install.sheet')}>
      <Space wrap>
        <Upload
          accept=".xlsx,.csv"
          showUploadList={false}
          disabled={isDirty}
          beforeUpload={(file) => {
            void take(file);
            return false;
          }}
        >
          <Button icon={<UploadOutlined aria-hidden />} loading={isBusy} disabled={isDirty}>
            {t('install.sheet.read')}
          </Button>
        </Upload>
        <Button
          icon={<DownloadOutlined aria-hidden />}
          onClick={() => {
            download('/site/template.xlsx').catch((err: Error) => setError(err));
          }}
        >
          {t('install.sheet.template')}
        </Button>
      </Space>
      <Failure error={error} />
      {read && read.problems.length === 0 && (
        <Alert type="success" showIcon title={t('install.sheet.done', { rows: read.rows })} />
      )}
      {read && read.problems.length > 0 && <SheetProblems problems={read.problems} />}
      <p className="quiet">{t(isDirty && !read ? 'install.sheet.dirty' : 'install.sheet.hint')}</p>
    </Card>
  );
}

function SheetProblems({ problems }: { problems: SheetProblem[] }) {
  const t = useText();
  const language = useLanguage();
  return (
    <Alert
      type="error"
      showIcon
      title={t('install.sheet.refused', { n: problems.length })}
      description={
        <ul className="sheet-problems">
          {problems.slice(0, PROBLEMS_SHOWN_MAX).map((one, idx) => (
            <li key={idx}>
              {one.sheet} {one.row ? t('install.sheet.row', { row: one.row }) : ''}
              {one.column ?? ''} <bdi>{language === 'zh' ? one.text_zh : one.text_en}</bdi>
            </li>
          ))}
        </ul>
      }
    />
  );
}
