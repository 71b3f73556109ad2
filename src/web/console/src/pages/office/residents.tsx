// The cardholders of a dwelling with their cards, and what can be done with each.

import { CreditCardOutlined, DownOutlined } from '@ant-design/icons';
import { Alert, Button, Dropdown, Empty, Space, Table, Tag, Tooltip } from 'antd';
import type { TableColumnsType } from 'antd';
import { useState } from 'react';
import { Link } from 'react-router';
import { useText } from '../../i18n';
import { may, useMe } from '../../session';
import { useReason } from '../duty/grounds';
import { Failure } from '../shared/failure';
import { useTimes } from '../shared/times';
import { Tone } from '../shared/tone';
import { CardDates } from './card-dates';
import { CardIssue } from './card-issue';
import { HolderForm } from './holder-form';
import { WhyDialog } from './why-dialog';
import type { Card, Dwelling, Resident } from './types';
import { cardWord, relationWord, whyNotWord } from './words';

const CARD_COLOURS = { active: 'good', lost: 'warn', revoked: 'plain', expired: 'plain' } as const;

/** What is open, of whom; it opens once the names are there, so that nobody is mistaken for another. */
type Open =
  | { what: 'issue' | 'change' | 'remove'; holder: string }
  | { what: 'dates'; card: Card }
  | { what: 'lost' | 'found' | 'revoke'; card: Card; holder: string };

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
  const me = useMe();
  const { reason, need, forget } = useReason();
  const [open, setOpen] = useState<Open | null>(null);
  if (error) return <Failure error={error} />;
  const begin = async (next: Open) => {
    if ((await need()) !== null) setOpen(next);
  };
  const close = () => setOpen(null);
  const holder =
    open && 'holder' in open
      ? residents.find((one) => one.id === open.holder && one.name !== undefined)
      : undefined;
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
            <CardLine key={card.id} card={card} mayWrite={mayWrite} holder={one.id} />
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
            onClick={() => void begin({ what: 'issue', holder: one.id })}
          >
            {t('office.card.issue')}
          </Button>
          <Button
            size="small"
            type="text"
            onClick={() => void begin({ what: 'change', holder: one.id })}
          >
            {t('common.change')}
          </Button>
          <Button
            size="small"
            type="text"
            danger
            onClick={() => void begin({ what: 'remove', holder: one.id })}
          >
            {t('office.holder.remove')}
          </Button>
        </Space>
      ),
    });
  }
  return (
    <>
      {may(me, 'see-names') &&
        (reason === null ? (
          <Alert
            type="info"
            title={t('office.names.hidden')}
            action={
              <Button size="small" onClick={() => void need()}>
                {t('office.names.show')}
              </Button>
            }
          />
        ) : (
          <Tag closable={{ 'aria-label': t('duty.reason.forget') }} onClose={forget}>
            {t('duty.reason.is', { reason })}
          </Tag>
        ))}
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
      {open?.what === 'issue' && holder && (
        <CardIssue dwelling={dwelling} holder={holder} onClose={close} />
      )}
      {open?.what === 'change' && holder && (
        <HolderForm dwelling={dwelling} holder={holder} onClose={close} />
      )}
      {open?.what === 'dates' && <CardDates card={open.card} onClose={close} />}
      {open?.what === 'remove' && holder && (
        <WhyDialog dwelling={dwelling.id} deed={{ what: 'remove', holder }} onClose={close} />
      )}
      {(open?.what === 'lost' || open?.what === 'found' || open?.what === 'revoke') && holder && (
        <WhyDialog
          dwelling={dwelling.id}
          deed={{ what: open.what, card: open.card, holder }}
          onClose={close}
        />
      )}
    </>
  );

  function CardLine({
    card,
    holder,
    mayWrite: mayChange,
  }: {
    card: Card;
    holder: string;
    mayWrite: boolean;
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
                if (key === 'dates') setOpen({ what: 'dates', card });
                else if (key === 'lost' || key === 'found' || key === 'revoke') {
                  void begin({ what: key, card, holder });
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
