// Whose entries: a dwelling's cardholder. The reason is asked for before any name is shown, since seeing one is a look at a person.
import { Button, Form, Input, Modal } from 'antd';
import { useState } from 'react';
import { request, type Page } from '../../../api/client';
import { explain } from '../../../api/explain';
import { useText } from '../../../i18n';
import { useReason } from '../grounds';

interface Holder {
  id: string;
  dwelling: string;
  name: string;
  relation: string;
}

export function PersonDialog({ onClose, onChosen }: { onClose: () => void; onChosen: (holder: string) => void }) {
  const t = useText();
  const { need } = useReason();
  const [holders, setHolders] = useState<Holder[] | null>(null);
  const [said, setSaid] = useState('');
  const [isBusy, setBusy] = useState(false);
  const look = async ({ dwelling }: { dwelling: string }) => {
    const reason = await need();
    if (reason === null) return;
    setBusy(true);
    setSaid('');
    try {
      const path = `/dwellings/${encodeURIComponent(dwelling.trim())}/cardholders`;
      setHolders((await request<Page<Holder>>('GET', path, { query: { reason } })).items);
    } catch (error) {
      setHolders(null);
      setSaid(explain(error, t));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal title={t('duty.search.person')} open onCancel={onClose} footer={null} width={520}>
      <p className="sg-dim">{t('duty.search.person-lead')}</p>
      <Form layout="inline" onFinish={(fields: { dwelling: string }) => void look(fields)}>
        <Form.Item name="dwelling" label={t('duty.fact.dwelling')} rules={[{ required: true, message: t('duty.fact.dwelling') }]}>
          <Input autoFocus maxLength={64} placeholder="b03-u2-301" />
        </Form.Item>
        <Button type="primary" htmlType="submit" loading={isBusy}>{t('duty.search.go')}</Button>
      </Form>
      {said !== '' && <p role="alert" className="sg-due" data-due="late">{said}</p>}
      {holders && (
        <ul className="sg-holders" aria-label={t('duty.search.holders')}>
          {holders.map((holder) => (
            <li key={holder.id}>
              <span><b>{holder.name}</b> <span className="sg-dim">{holder.id}</span></span>
              <Button size="small" onClick={() => onChosen(holder.id)}>{t('duty.search.entries-of')}</Button>
            </li>
          ))}
          {holders.length === 0 && <li className="sg-dim">{t('duty.search.no-holders')}</li>}
        </ul>
      )}
    </Modal>
  );
}
