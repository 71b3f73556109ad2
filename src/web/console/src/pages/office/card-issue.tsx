// Issues a card to a cardholder: read at a desk reader, or by the next unknown card at a door.

import { Alert, DatePicker, Form, Input, Modal, Result, Tabs } from 'antd';
import type { Dayjs } from 'dayjs';
import { useState } from 'react';
import { request } from '../../api/client';
import { useText } from '../../i18n';
import { may, useMe } from '../../session';
import { dayStart, useTimes } from '../shared/times';
import { CardReader } from './card-reader';
import { DoorReader } from './door-reader';
import { LedgerFailure } from './ledger-failure';
import { useLedgerChanged } from './data';
import type { Card, Dwelling, Resident } from './types';
import { WHY_CHARS_MAX } from './why-dialog';

interface Values {
  days?: [Dayjs | null, Dayjs | null] | null;
  why?: string;
}

/** Where the number came from. */
type Source = { card: string } | { capture: string };

export function CardIssue({
  dwelling,
  holder,
  onClose,
}: {
  dwelling: Dwelling;
  holder: Resident;
  onClose: () => void;
}) {
  const t = useText();
  const times = useTimes();
  const changed = useLedgerChanged();
  const me = useMe();
  const [form] = Form.useForm<Values>();
  const [error, setError] = useState<Error | null>(null);
  const [issued, setIssued] = useState<Card | null>(null);
  const [isBusy, setBusy] = useState(false);
  const name = holder.name ?? holder.id;

  const issue = async (source: Source) => {
    const { days, why = '' } = form.getFieldsValue();
    const [from, until] = days ?? [null, null];
    setBusy(true);
    setError(null);
    try {
      const card = await request<Card>('POST', '/cards', {
        body: {
          ...source,
          holder: holder.id,
          valid_from: from ? dayStart(from.format('YYYY-MM-DD'), times.zone) : null,
          // The last day is included: the card ends when the next one begins.
          valid_until: until ? dayStart(until.add(1, 'day').format('YYYY-MM-DD'), times.zone) : null,
          why,
        },
      });
      setIssued(card);
      await changed();
    } catch (err) {
      setError(err as Error);
    } finally {
      setBusy(false);
    }
  };
  const tabs = [
    {
      key: 'desk',
      label: t('office.issue.desk'),
      children: <CardReader isBusy={isBusy} onRead={(card) => void issue({ card })} />,
    },
  ];
  if (may(me, 'next-card')) {
    tabs.push({
      key: 'door',
      label: t('office.issue.door'),
      children: (
        <DoorReader place={dwelling.place} isBusy={isBusy} onCapture={(capture) => void issue({ capture })} />
      ),
    });
  }
  return (
    <Modal
      open
      width={560}
      title={
        <>
          {t('office.issue.to')} <bdi>{name}</bdi>
        </>
      }
      footer={null}
      onCancel={onClose}
      mask={{ closable: false }}
      destroyOnHidden
    >
      {issued ? (
        <Result
          status="success"
          title={t('office.issue.done', { card: issued.card_ref })}
          subTitle={t('office.issue.done.hint')}
        />
      ) : (
        <>
          {!holder.counted && holder.why_not === 'no-card' && dwelling.free === 0 && (
            <Alert type="warning" showIcon title={t('office.issue.full')} />
          )}
          <LedgerFailure error={error} />
          <Tabs items={tabs} />
          <Form<Values> form={form} layout="vertical" disabled={isBusy}>
            <Form.Item name="days" label={t('office.card.days')} extra={t('office.card.days.hint')}>
              <DatePicker.RangePicker allowEmpty={[true, true]} style={{ width: '100%' }} />
            </Form.Item>
            <Form.Item name="why" label={t('office.why')}>
              <Input maxLength={WHY_CHARS_MAX} showCount dir="auto" />
            </Form.Item>
          </Form>
        </>
      )}
    </Modal>
  );
}
