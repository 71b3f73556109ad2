// The cardholders of a dwelling with their cards, and what can be done with each.

import { CreditCardOutlined, DownOutlined } from '@ant-design/icons';
import { Button, Dropdown, Empty, Space, Table, Tooltip } from 'antd';
import type { TableColumnsType } from 'antd';
import { useState } from 'react';
import { Link } from 'react-router';
import { useText } from '../../i18n';
import { Failure } from '../shared/failure';
import { useTimes } from '../shared/times';
import { Tone } from '../shared/tone';
import { CardDates } from './card-dates';
import { CardIssue } from './card-issue';
import { HolderForm } from './holder-form';
import { type Deed, WhyDialog } from './why-dialog';
import type { Card, Dwelling, Resident } from './types';
import { cardWord, relationWord, whyNotWord } from './words';

const CARD_COLOURS = { active: 'good', lost: 'warn', revoked: 'plain', expired: 'plain' } as const;

type Open =
  | { what: 'issue'; holder: Resident }
  | { what: 'change'; holder: Resident }
  | { what: 'dates'; card: Card }
  | { what: 'deed'; deed: Deed };

export function Residents({
  dwelling,
  residents,
  isLoading,
  error,
  mayWrite,
}: {
  dwelling: Dwelling;
  residents: Resident[];
  isLoading: boolean;
  error: Error | null;
  mayWrite: boolean;
}) {
  const t = useText();
  const times = useTimes();
  const [open, setOpen] = useState<Open | null>(null);
  if (error) return <Failure error={error} />;
  const columns: TableColumnsType<Resident> = [
    {
      title: t('office.holder.name'),
      key: 'name',
      render: (_, one) => (
        <span className="holder-name">
          <bdi>{one.name ?? one.id}</bdi>
          {one.surplus && <Tone tone="bad">{t('office.surplus.tag')}</Tone>}
        </span>
      ),
    },
    {
      title: t('office.holder.relation'),
      dataIndex: 'relation',
      render: (word: string) => relationWord(t, word),
    },
    {
      title: t('office.holder.counts'),
      key: 'counts',
      render: (_, one) =>
        one.counted ? (
          <span>{t('office.counts')}</span>
        ) : (
          <Tone>{t('office.counts.not', { why: whyNotWord(t, one.why_not ?? '') })}</Tone>
        ),
    },
    {
      title: t('office.holder.tenancy'),
      key: 'tenancy',
      className: 'numbers',
      render: (_, one) =>
        one.from || one.to ? `${one.from ?? '…'} – ${one.to ?? '…'}` : t('office.days.open'),
    },
    {
      title: t('office.holder.also'),
      key: 'also',
      responsive: ['lg'],
      render: (_, one) =>
        one.also_in.map((other) => (
          <Link key={other} to={`/office/dwellings/${encodeURIComponent(other)}`}>
            {other}{' '}
          </Link>
        )),
    },
    {
      title: t('office.cards'),
      key: 'cards',
      render: (_, one) => (
        <Space direction="vertical" size={2}>
          {one.cards.map((card) => (
            <CardLine key={card.id} card={card} mayWrite={mayWrite} holder={one} open={setOpen} />
          ))}
          {one.cards.length === 0 && <span className="quiet">{t('office.card.none')}</span>}
        </Space>
      ),
    },
  ];
  if (mayWrite) {
    columns.push({
      title: t('common.actions'),
      key: 'actions',
      render: (_, one) => (
        <Space>
          <Button
            size="small"
            icon={<CreditCardOutlined aria-hidden />}
            onClick={() => setOpen({ what: 'issue', holder: one })}
          >
            {t('office.card.issue')}
          </Button>
          <Button size="small" type="text" onClick={() => setOpen({ what: 'change', holder: one })}>
            {t('common.change')}
          </Button>
          <Button
            size="small"
            type="text"
            danger
            onClick={() => setOpen({ what: 'deed', deed: { what: 'remove', holder: one } })}
          >
            {t('office.holder.remove')}
          </Button>
        </Space>
      ),
    });
  }
  return (
    <>
      <Table<Resident>
        size="small"
        rowKey="id"
        columns={columns}
        dataSource={residents}
        loading={isLoading}
        pagination={false}
        rowClassName={(one) => (one.surplus ? 'row-over' : one.counted ? '' : 'row-quiet')}
        locale={{ emptyText: <Empty description={t('office.holders.none')} /> }}
        scroll={{ x: 'max-content' }}
      />
      {open?.what === 'issue' && (
        <CardIssue dwelling={dwelling} holder={open.holder} onClose={() => setOpen(null)} />
      )}
      {open?.what === 'change' && (
        <HolderForm dwelling={dwelling} holder={open.holder} onClose={() => setOpen(null)} />
      )}
      {open?.what === 'dates' && <CardDates card={open.card} onClose={() => setOpen(null)} />}
      {open?.what === 'deed' && (
        <WhyDialog dwelling={dwelling.id} deed={open.deed} onClose={() => setOpen(null)} />
      )}
    </>
  );

  function CardLine({
    card,
    holder,
    mayWrite: mayChange,
    open: show,
  }: {
    card: Card;
    holder: Resident;
    mayWrite: boolean;
    open: (open: Open) => void;
  }) {
    const dates =
      card.valid_from || card.valid_until
        ? `${times.day(card.valid_from)} – ${times.day(lastMoment(card.valid_until))}`
        : null;
    return (
      <span className="card-line">
        <Tooltip title={t('office.card.issued', { at: times.minute(card.issued_at) })}>
          <code>{card.card_ref}</code>
        </Tooltip>
        <Tone tone={CARD_COLOURS[card.state]}>{cardWord(t, card.state)}</Tone>
        {dates && <span className="quiet numbers">{dates}</span>}
        {mayChange && card.state !== 'revoked' && (
          <Dropdown
            trigger={['click']}
            menu={{
              items: actionsOf(card).map((key) => ({
                key,
                danger: key === 'revoke',
                label: t(`office.card.do.${key}`),
              })),
              onClick: ({ key }) => {
                if (key === 'dates') show({ what: 'dates', card });
                else if (key === 'lost' || key === 'found' || key === 'revoke') {
                  show({ what: 'deed', deed: { what: key, card, holder } });
                }
              },
            }}
          >
            <Button
              size="small"
              type="text"
              icon={<DownOutlined aria-hidden />}
              aria-label={t('office.card.more', { card: card.card_ref })}
            />
          </Dropdown>
        )}
      </span>
    );
  }
}

/** A card ends at a moment; the day before that moment is its last one. */
function lastMoment(until: string | null): string | null {
  return until ? new Date(Date.parse(until) - 1).toISOString() : null;
}

function actionsOf(card: Card): ('dates' | 'lost' | 'found' | 'revoke')[] {
  return card.state === 'lost' ? ['found', 'dates', 'revoke'] : ['dates', 'lost', 'revoke'];
}
