// What an import would change, and which rows it refuses.

import { Alert, Empty, Table, Tag } from 'antd';
import type { TableColumnsType } from 'antd';
import { isKey, type Text, useLanguage, useText } from '../../i18n';
import type { ChangeLine, Finding, ImportReport, Tenure } from './types';
import { relationWord, tenureWord } from './words';

const COLOURS: Record<string, string> = {
  'put-dwelling': 'blue',
  'add-holder': 'green',
  'change-holder': 'blue',
  'remove-holder': 'red',
  'issue-card': 'green',
  'revoke-card': 'red',
  'lose-card': 'orange',
  'reinstate-card': 'blue',
  'redate-card': 'blue',
};

export function ChangesTable({ report }: { report: ImportReport }) {
  const t = useText();
  const word = (change: string) => changeWord(t, change);
  const columns: TableColumnsType<ChangeLine> = [
    ...place<ChangeLine>(
      t('office.import.sheet'),
      t('office.import.row'),
      report.changes.some((one) => one.sheet),
    ),
    {
      title: t('office.import.change'),
      dataIndex: 'change',
      filters: Object.keys(report.counts).map((value) => ({ value, text: word(value) })),
      onFilter: (value, one) => one.change === value,
      render: (change: string) => <Tag color={COLOURS[change]}>{word(change)}</Tag>,
    },
    { title: t('office.dwelling'), dataIndex: 'dwelling', className: 'mono' },
    { title: t('office.holder'), dataIndex: 'holder', className: 'mono' },
    { title: t('office.cards'), dataIndex: 'card_ref', className: 'mono' },
    {
      title: t('office.import.detail'),
      dataIndex: 'detail',
      render: (text: string) => <bdi className="wrap-anywhere">{detailWords(t, text)}</bdi>,
    },
  ];
  return (
    <>
      {report.more_changes > 0 && (
        <Alert type="info" title={t('office.import.more', { n: report.more_changes })} />
      )}
      <Table<ChangeLine>
        size="small"
        rowKey={(one) => `${one.sheet}/${one.row}/${one.change}/${one.holder}/${one.card_ref}`}
        columns={columns}
        dataSource={report.changes}
        pagination={{ defaultPageSize: 50, hideOnSinglePage: true }}
        locale={{ emptyText: <Empty description={t('office.import.no-changes')} /> }}
      />
    </>
  );
}

export function FindingsTable({ findings, more }: { findings: Finding[]; more: number }) {
  const t = useText();
  const language = useLanguage();
  const columns: TableColumnsType<Finding> = [
    ...place<Finding>(
      t('office.import.sheet'),
      t('office.import.row'),
      findings.some((one) => one.sheet),
    ),
    { title: t('office.import.column'), dataIndex: 'column', className: 'mono' },
    {
      title: t('office.import.todo'),
      dataIndex: language,
      render: (text: string) => <bdi className="wrap-anywhere">{text}</bdi>,
    },
  ];
  return (
    <>
      {more > 0 && <Alert type="info" title={t('office.import.more', { n: more })} />}
      <Table<Finding>
        size="small"
        rowKey={(one) => `${one.sheet}/${one.row}/${one.column}/${one.reason}/${one.en}`}
        columns={columns}
        dataSource={findings}
        pagination={{ defaultPageSize: 50, hideOnSinglePage: true }}
        locale={{ emptyText: <Empty description={t('office.import.no-findings')} /> }}
      />
    </>
  );
}

function place<T extends { sheet: string | null; row: number }>(
  sheet: string,
  row: string,
  hasSheets: boolean,
): TableColumnsType<T> {
  const columns: TableColumnsType<T> = [
    {
      title: row,
      dataIndex: 'row',
      align: 'right',
      className: 'numbers',
      sorter: (a, b) => a.row - b.row,
      render: (n: number) => (n === 0 ? '' : n),
    },
  ];
  if (hasSheets) columns.unshift({ title: sheet, dataIndex: 'sheet', ellipsis: true });
  return columns;
}

/** The word of a change, as `add-holder`, for people. */
export function changeWord(t: Text, change: string): string {
  const key = `office.change.${change}`;
  return isKey(key) ? t(key) : change;
}

/** `area_m2 94.30 → 90.00, tenure rented` in the reader's words; ids and dates stay as they are. */
export function detailWords(t: Text, detail: string): string {
  return detail
    .split(', ')
    .map((part) => {
      const space = part.indexOf(' ');
      const name = space < 0 ? part : part.slice(0, space);
      const rest = space < 0 ? '' : part.slice(space + 1);
      const key = `office.detail.${name}`;
      const values = rest.split(' → ').map((value) => valueWord(t, name, value));
      return `${isKey(key) ? t(key) : name} ${values.join(' → ')}`;
    })
    .join(t('office.detail.join'));
}

function valueWord(t: Text, name: string, value: string): string {
  if (value === 'open') return t('office.detail.open');
  if (value === 'changed') return t('office.detail.changed');
  if (name === 'relation') return relationWord(t, value);
  if (name === 'tenure' && ['rented', 'owner-occupied', 'dormitory'].includes(value)) {
    return tenureWord(t, value as Tenure);
  }
  return value;
}
