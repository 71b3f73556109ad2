// Asks for the reason of a change that takes something away or gives it back, and makes it.

import { Form, Input, Modal } from 'antd';
import { useState } from 'react';
import { request } from '../../api/client';
import { useText } from '../../i18n';
import { useNotices } from '../shared/notices';
import { LedgerFailure } from './ledger-failure';
import { useLedgerChanged } from './data';
import type { Card, Resident } from './types';

export type Deed =
  { what: 'remove'; holder: Resident } | { what: 'revoke' | 'lost' | 'found'; card: Card; holder: Resident };

/** As the API: longest reason. */
export const WHY_CHARS_MAX = 200;

export function WhyDialog({
  dwelling,
  deed,
  onClose,
}: {
  dwelling: string;
  deed: Deed;
  onClose: () => void;
}) {
  const t = useText();
  const changed = useLedgerChanged();
  const { said } = useNotices();
  const [form] = Form.useForm<{ why?: string }>();
  const [error, setError] = useState<Error | null>(null);
  const [isBusy, setBusy] = useState(false);
  const name = deed.holder.name ?? deed.holder.id;
  const card = deed.what === 'remove' ? '' : deed.card.card_ref;
  const needsWhy = deed.what === 'remove' || deed.what === 'revoke';

  const make = async ({ why = '' }: { why?: string }) => {
    setBusy(true);
    setError(null);
    try {
      if (deed.what === 'remove') {
        const path =
          `/dwellings/${encodeURIComponent(dwelling)}/cardholders/` + encodeURIComponent(deed.holder.id);
        await request('DELETE', path, { query: { why } });
      } else {
        await request('POST', `/cards/${deed.card.id}/${deed.what}`, { body: { why } });
      }
      await changed();
      said(t(`office.did.${deed.what}`, { name, card }));
      onClose();
    } catch (err) {
      setError(err as Error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal
      open
      title={t(`office.do.${deed.what}`, { name, card })}
      okText={t(`office.do.${deed.what}.ok`)}
      okButtonProps={{ danger: needsWhy, loading: isBusy }}
      onOk={() => form.submit()}
      onCancel={onClose}
    >
      <p>{t(`office.do.${deed.what}.what`)}</p>
      <LedgerFailure error={error} />
      <Form form={form} layout="vertical" onFinish={(values) => void make(values)}>
        <Form.Item
          name="why"
          label={t('office.why')}
          rules={[{ required: needsWhy, whitespace: true, message: t('office.why.needed') }]}
        >
          <Input autoFocus maxLength={WHY_CHARS_MAX} showCount dir="auto" />
        </Form.Item>
      </Form>
    </Modal>
  );
}
