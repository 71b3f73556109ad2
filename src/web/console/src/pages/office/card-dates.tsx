// Other dates for a card.

import { DatePicker, Form, Input, Modal } from 'antd';
import dayjs, { type Dayjs } from 'dayjs';
import { useState } from 'react';
import { request } from '../../api/client';
import { useText } from '../../i18n';
import { useNotices } from '../shared/notices';
import { dayStart, useTimes } from '../shared/times';
import { LedgerFailure } from './ledger-failure';
import { useLedgerChanged } from './data';
import type { Card } from './types';
import { WHY_CHARS_MAX } from './why-dialog';

interface Values {
  from?: Dayjs | null;
  last?: Dayjs | null;
  why?: string;
}

export function CardDates({ card, onClose }: { card: Card; onClose: () => void }) {
  const t = useText();
  const times = useTimes();
  const changed = useLedgerChanged();
  const { said } = useNotices();
  const [form] = Form.useForm<Values>();
  const [error, setError] = useState<Error | null>(null);
  const [isBusy, setBusy] = useState(false);

  const save = async ({ from, last, why = '' }: Values) => {
    setBusy(true);
    setError(null);
    try {
      await request('PUT', `/cards/${card.id}`, {
        body: {
          valid_from: from ? dayStart(from.format('YYYY-MM-DD'), times.zone) : null,
          valid_until: last ? dayStart(last.add(1, 'day').format('YYYY-MM-DD'), times.zone) : null,
          why,
        },
        headers: { 'If-Match': `"${card.revision}"` },
      });
      await changed();
      said(t('office.card.redated', { card: card.card_ref }));
      onClose();
    } catch (err) {
      setError(err as Error);
    } finally {
      setBusy(false);
    }
  };
  // A card ends at a moment; people think of its last day, the one before that moment.
  const lastDay = card.valid_until
    ? dayjs(times.day(new Date(Date.parse(card.valid_until) - 1).toISOString()))
    : null;
  return (
    <Modal
      open
      title={t('office.card.dates', { card: card.card_ref })}
      okText={t('app.save')}
      confirmLoading={isBusy}
      onOk={() => form.submit()}
      onCancel={onClose}
    >
      <LedgerFailure error={error} />
      <Form<Values>
        form={form}
        layout="vertical"
        initialValues={{
          from: card.valid_from ? dayjs(times.day(card.valid_from)) : null,
          last: lastDay,
        }}
        onFinish={(values) => void save(values)}
      >
        <Form.Item name="from" label={t('office.card.from')} extra={t('office.card.from.hint')}>
          <DatePicker style={{ width: '100%' }} />
        </Form.Item>
        <Form.Item
          name="last"
          label={t('office.card.last')}
          extra={t('office.card.last.hint')}
          dependencies={['from']}
          rules={[
            ({ getFieldValue }) => ({
              validator: (_, last: Dayjs | null) => {
                const from = getFieldValue('from') as Dayjs | null;
                return from && last?.isBefore(from, 'day')
                  ? Promise.reject(new Error(t('office.refused.dates-backwards')))
                  : Promise.resolve();
              },
            }),
          ]}
        >
          <DatePicker style={{ width: '100%' }} />
        </Form.Item>
        <Form.Item name="why" label={t('office.why')}>
          <Input maxLength={WHY_CHARS_MAX} showCount dir="auto" />
        </Form.Item>
      </Form>
    </Modal>
  );
}
