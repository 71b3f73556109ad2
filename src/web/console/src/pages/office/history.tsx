// Every change of a dwelling: who, when, why, what it was before and after; refusals included.

import { Button, Empty, Table } from 'antd';
import type { TableColumnsType } from 'antd';
import { type Text, useText } from '../../i18n';
import { useReason } from '../duty/grounds';
import { Failure } from '../shared/failure';
import { type Times, useTimes } from '../shared/times';
import { Tone } from '../shared/tone';
import { useHistory } from './data';
import { asSentence } from './reckoning';
import type { Change } from './types';
import { cardWord, relationWord, tenureWord } from './words';

export function History({ id }: { id: string }) {
  const t = useText();
  const times = useTimes();
  const { reason } = useReason();
  const history = useHistory(id, reason);
  const rows = history.data?.pages.flatMap((page) => page.items) ?? [];
  const columns: TableColumnsType<Change> = [
    {
      title: t('common.when'),
      dataIndex: 'at',
      className: 'numbers nowrap',
      render: (at: string) => times.second(at),
    },
    {
      title: t('common.who'),
      key: 'by',
      render: (_, one) => <bdi>{one.by.name}</bdi>,
    },
    {
      title: t('office.history.what'),
      key: 'what',
      render: (_, one) => <ChangeWords change={one} times={times} />,
    },
    {
      title: t('office.why'),
      dataIndex: 'why',
      render: (why?: string) => <bdi className="wrap-anywhere">{why}</bdi>,
    },
  ];
  return (
    <>
      {history.error && <Failure error={history.error} retry={() => void history.refetch()} />}
      <Table<Change>
        size="small"
        rowKey="seq"
        columns={columns}
        dataSource={rows}
        loading={history.isLoading}
        pagination={false}
        locale={{ emptyText: <Empty description={t('office.history.none')} /> }}
        scroll={{ x: 'max-content' }}
      />
      {history.hasNextPage && (
        <Button
          className="more"
          loading={history.isFetchingNextPage}
          onClick={() => void history.fetchNextPage()}
        >
          {t('app.more')}
        </Button>
      )}
    </>
  );
}

function ChangeWords({ change, times }: { change: Change; times: Times }) {
  const t = useText();
  if (change.what === 'refused') {
    const { after } = change;
    return (
      <span className="change">
        <Tone tone="bad">{t('office.history.refused')}</Tone>
        <span className="wrap-anywhere">{asSentence(t, after)}</span>
      </span>
    );
  }
  const { title, fields } = fieldsOf(t, times, change);
  return (
    <span className="change">
      <Tone>{title}</Tone>
      {fields.map((field) => (
        <span key={field.name} className="field-change">
          <span className="quiet">{field.name}</span>{' '}
          {field.before !== null && (
            <>
              <del>
                <bdi>{field.before}</bdi>
              </del>{' '}
              →{' '}
            </>
          )}
          <ins>
            <bdi>{field.after}</bdi>
          </ins>
        </span>
      ))}
    </span>
  );
}

interface FieldChange {
  name: string;
  /** `null`: it was new. */
  before: string | null;
  after: string;
}

/** Which facts changed; of something new, all that say something. */
function fieldsOf(
  t: Text,
  times: Times,
  change: Exclude<Change, { what: 'refused' }>,
): { title: string; fields: FieldChange[] } {
  const fields: FieldChange[] = [];
  const none = t('common.none');
  const add = (name: string, before: string | null | undefined, after: string | null) => {
    const was = before === undefined ? null : (before ?? none);
    const is = after ?? none;
    if (before === undefined ? after === null : was === is) return;
    fields.push({ name, before: was, after: is });
  };
  switch (change.what) {
    case 'dwelling': {
      const { before, after } = change;
      add(t('office.dwelling.place'), before?.place, after.place);
      add(t('office.dwelling.number'), before?.number, after.number);
      add(t('office.col.area'), before?.area, after.area);
      add(
        t('office.col.tenure'),
        before ? tenureWord(t, before.tenure) : undefined,
        tenureWord(t, after.tenure),
      );
      add(t('office.dwelling.beds'), before ? textOf(before.beds) : undefined, textOf(after.beds));
      add(t('office.days.from'), before ? before.from : undefined, after.from);
      add(t('office.days.to'), before ? before.to : undefined, after.to);
      return { title: t(before ? 'office.history.dwelling' : 'office.history.dwelling.new'), fields };
    }
    case 'cardholder': {
      const { before, after } = change;
      const isRemoved = after.removed_at !== null;
      const name = after.name ?? after.id;
      if (before && before.name === after.name) {
        fields.push({ name: t('office.holder.name'), before: null, after: name });
      } else {
        add(t('office.holder.name'), before?.name, name);
      }
      add(
        t('office.holder.relation'),
        before ? relationWord(t, before.relation) : undefined,
        relationWord(t, after.relation),
      );
      add(t('office.holder.key'), before ? (before.person_key ?? null) : undefined, after.person_key ?? null);
      add(t('office.days.from'), before ? before.from : undefined, after.from);
      add(t('office.days.to'), before ? before.to : undefined, after.to);
      add(t('office.dwelling'), before ? before.dwelling : after.dwelling, after.dwelling);
      const title = isRemoved
        ? t('office.history.holder.removed')
        : t(before ? 'office.history.holder' : 'office.history.holder.new');
      return { title, fields };
    }
    case 'card': {
      const { before, after } = change;
      fields.push({ name: t('office.cards'), before: null, after: after.card_ref });
      add(t('office.card.state'), before ? cardWord(t, before.state) : undefined, cardWord(t, after.state));
      const day = (at: string | null) => (at === null ? null : times.minute(at));
      add(t('office.days.from'), before ? day(before.valid_from) : undefined, day(after.valid_from));
      add(t('office.days.until'), before ? day(before.valid_until) : undefined, day(after.valid_until));
      return { title: t(before ? 'office.history.card' : 'office.history.card.new'), fields };
    }
  }
}

function textOf(value: number | null): string | null {
  return value === null ? null : String(value);
}
