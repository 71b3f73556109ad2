// Adds a cardholder to a dwelling, or changes the facts of one.

import { Alert, AutoComplete, Form, Input, Modal } from 'antd';
import dayjs from 'dayjs';
import { useState } from 'react';
import { request } from '../../api/client';
import { useText } from '../../i18n';
import { type Days, DayRange } from '../shared/day-range';
import { useNotices } from '../shared/notices';
import { LedgerFailure } from './ledger-failure';
import { useLedgerChanged } from './data';
import { inWords } from './reckoning';
import type { Dwelling, Resident } from './types';
import { WHY_CHARS_MAX } from './why-dialog';
import { RELATIONS, relationWord } from './words';

/** As the API: longest name and longest mark of a person. */
const NAME_CHARS_MAX = 64;

interface Values {
  name: string;
  relation: string;
  person_key?: string;
  days?: Days | null;
  why?: string;
}

export function HolderForm({
  dwelling,
  holder: shown,
  onClose,
}: {
  dwelling: Dwelling;
  holder?: Resident;
  onClose: () => void;
}) {
  const t = useText();
  // As it was when the form opened: what others change meanwhile must be refused, not overwritten.
  const [holder] = useState(shown);
  const changed = useLedgerChanged();
  const { said } = useNotices();
  const [form] = Form.useForm<Values>();
  const [error, setError] = useState<Error | null>(null);
  const [isBusy, setBusy] = useState(false);
  const words = inWords(t, dwelling);

  const save = async (values: Values) => {
    setBusy(true);
    setError(null);
    const [from, to] = values.days ?? [null, null];
    const body = {
      name: values.name.trim(),
      relation: relationOf(values.relation),
      person_key: values.person_key?.trim() || null,
      from: from?.format('YYYY-MM-DD') ?? null,
      to: to?.format('YYYY-MM-DD') ?? null,
      why: values.why ?? '',
    };
    const path = `/dwellings/${encodeURIComponent(dwelling.id)}/cardholders`;
    try {
      if (holder) {
        await request('PUT', `${path}/${encodeURIComponent(holder.id)}`, {
          body,
          headers: { 'If-Match': `"${holder.revision}"` },
        });
      } else {
        await request('POST', path, { body });
      }
      await changed();
      said(t(holder ? 'office.holder.changed' : 'office.holder.added', { name: body.name }));
      onClose();
    } catch (err) {
      setError(err as Error);
      // Someone else may have taken the last place: the page behind shows how it stands now.
      await changed();
    } finally {
      setBusy(false);
    }
  };
  const relationOf = (text: string) =>
    RELATIONS.find((word) => relationWord(t, word) === text.trim()) ?? text.trim();

  return (
    <Modal
      open
      width={680}
      style={{ top: 40 }}
      title={holder ? t('office.holder.change') : t('office.holder.add')}
      okText={t('app.save')}
      confirmLoading={isBusy}
      onOk={() => form.submit()}
      onCancel={onClose}
      mask={{ closable: false }}
    >
      {!holder && !error && (
        <Alert
          className="form-note"
          type={words.level === 'free' ? 'info' : 'warning'}
          showIcon
          title={words.sum}
          description={`${words.holding}${t('office.reckoning.join')}${words.next}`}
        />
      )}
      <LedgerFailure error={error} />
      <Form<Values>
        form={form}
        layout="vertical"
        requiredMark="optional"
        initialValues={{
          name: holder?.name,
          relation: holder ? relationWord(t, holder.relation) : relationWord(t, 'tenant'),
          person_key: holder?.person_key,
          days:
            holder && (holder.from || holder.to)
              ? [holder.from ? dayjs(holder.from) : null, holder.to ? dayjs(holder.to) : null]
              : null,
        }}
        onFinish={(values) => void save(values)}
      >
        <div className="form-grid">
          <Form.Item
            name="name"
            label={t('office.holder.name')}
            rules={[{ required: true, whitespace: true, message: t('office.holder.name.needed') }]}
          >
            <Input autoFocus maxLength={NAME_CHARS_MAX} autoComplete="off" dir="auto" />
          </Form.Item>
          <Form.Item
            name="relation"
            label={t('office.holder.relation')}
            extra={t('office.holder.relation.hint')}
            rules={[
              { required: true, message: t('office.holder.relation.needed') },
              {
                validator: (_, text: string) =>
                  /^[a-z0-9-]{1,32}$/.test(relationOf(text ?? ''))
                    ? Promise.resolve()
                    : Promise.reject(new Error(t('office.holder.relation.bad'))),
              },
            ]}
          >
            <AutoComplete
              options={RELATIONS.map((word) => ({ value: relationWord(t, word) }))}
              showSearch={{ filterOption: (typed, option) => (option?.value ?? '').includes(typed) }}
            />
          </Form.Item>
          <Form.Item name="person_key" label={t('office.holder.key')} extra={t('office.holder.key.hint')}>
            <Input maxLength={NAME_CHARS_MAX} autoComplete="off" dir="auto" />
          </Form.Item>
          <Form.Item name="days" label={t('office.holder.tenancy')} extra={t('office.days.hint')}>
            <DayRange />
          </Form.Item>
        </div>
        <Form.Item name="why" label={t('office.why')}>
          <Input maxLength={WHY_CHARS_MAX} showCount dir="auto" />
        </Form.Item>
      </Form>
    </Modal>
  );
}
