// Adds a dwelling, or changes area, tenure, beds and days of one.

import { DatePicker, Form, Input, InputNumber, Modal, Radio, Select } from 'antd';
import dayjs, { type Dayjs } from 'dayjs';
import { useState } from 'react';
import { request } from '../../api/client';
import { useText } from '../../i18n';
import { useNotices } from '../shared/notices';
import { LedgerFailure } from './ledger-failure';
import { useLedgerChanged, useStairwells } from './data';
import type { Dwelling, Tenure } from './types';
import { WHY_CHARS_MAX } from './why-dialog';
import { byNumber, tenureWord } from './words';

/** As the API: longest number, most beds. */
const NUMBER_CHARS_MAX = 32;
const BEDS_MAX = 1000;
const TENURES: Tenure[] = ['rented', 'owner-occupied', 'dormitory'];

interface Values {
  place: string;
  number: string;
  area_m2: string;
  tenure: Tenure;
  beds?: number | null;
  days?: [Dayjs | null, Dayjs | null] | null;
  why?: string;
}

export function DwellingForm({
  dwelling,
  onClose,
  onDone,
}: {
  dwelling?: Dwelling;
  onClose: () => void;
  onDone?: (id: string) => void;
}) {
  const t = useText();
  const changed = useLedgerChanged();
  const { said } = useNotices();
  const stairwells = useStairwells();
  const [form] = Form.useForm<Values>();
  const tenure = Form.useWatch('tenure', form);
  const [error, setError] = useState<Error | null>(null);
  const [isBusy, setBusy] = useState(false);

  const save = async (values: Values) => {
    setBusy(true);
    setError(null);
    const [from, to] = values.days ?? [null, null];
    const id = dwelling?.id ?? idOf(values.place, values.number);
    try {
      await request('PUT', `/dwellings/${encodeURIComponent(id)}`, {
        body: {
          place: values.place,
          number: values.number.trim(),
          area_m2: values.area_m2.trim(),
          tenure: values.tenure,
          beds: values.tenure === 'dormitory' ? (values.beds ?? null) : null,
          from: from?.format('YYYY-MM-DD') ?? null,
          to: to?.format('YYYY-MM-DD') ?? null,
          why: values.why ?? '',
        },
        headers: dwelling ? { 'If-Match': `"${dwelling.revision}"` } : { 'If-None-Match': '*' },
      });
      await changed();
      said(t('office.dwelling.saved'));
      onClose();
      onDone?.(id);
    } catch (err) {
      setError(err as Error);
    } finally {
      setBusy(false);
    }
  };
  const places = (stairwells.data?.items ?? []).toSorted(
    (a, b) => byNumber(a.building, b.building) || byNumber(a.unit, b.unit),
  );

  return (
    <Modal
      open
      title={dwelling ? t('office.dwelling.change') : t('office.dwelling.add')}
      okText={t('app.save')}
      confirmLoading={isBusy}
      onOk={() => form.submit()}
      onCancel={onClose}
      mask={{ closable: false }}
    >
      <LedgerFailure error={error} />
      <Form<Values>
        form={form}
        layout="vertical"
        requiredMark="optional"
        initialValues={{
          place: dwelling?.place,
          number: dwelling?.number,
          area_m2: dwelling?.area_m2,
          tenure: dwelling?.tenure ?? 'rented',
          beds: dwelling?.beds,
          days:
            dwelling && (dwelling.from || dwelling.to)
              ? [dwelling.from ? dayjs(dwelling.from) : null, dwelling.to ? dayjs(dwelling.to) : null]
              : null,
        }}
        onFinish={(values) => void save(values)}
      >
        <Form.Item
          name="place"
          label={t('office.dwelling.place')}
          rules={[{ required: true, message: t('office.dwelling.place.needed') }]}
        >
          <Select
            showSearch={{ optionFilterProp: 'label' }}
            loading={stairwells.isLoading}
            options={[
              ...places.map((one) => ({
                value: one.id,
                label: t('office.stairwell', { building: one.building, unit: one.unit }),
              })),
              { value: 'compound', label: t('office.compound') },
            ]}
          />
        </Form.Item>
        <Form.Item
          name="number"
          label={t('office.dwelling.number')}
          rules={[{ required: true, whitespace: true, message: t('office.dwelling.number.needed') }]}
        >
          <Input maxLength={NUMBER_CHARS_MAX} autoComplete="off" dir="auto" />
        </Form.Item>
        <Form.Item
          name="area_m2"
          label={t('office.dwelling.area')}
          rules={[
            { required: true, message: t('office.dwelling.area.needed') },
            { pattern: /^\s*\d{1,7}(\.\d{1,2})?\s*$/, message: t('office.dwelling.area.bad') },
          ]}
        >
          <Input inputMode="decimal" suffix="m²" autoComplete="off" />
        </Form.Item>
        <Form.Item name="tenure" label={t('office.col.tenure')}>
          <Radio.Group
            optionType="button"
            options={TENURES.map((value) => ({ value, label: tenureWord(t, value) }))}
          />
        </Form.Item>
        {tenure === 'dormitory' && (
          <Form.Item
            name="beds"
            label={t('office.dwelling.beds')}
            rules={[{ required: true, message: t('office.dwelling.beds.needed') }]}
          >
            <InputNumber min={0} max={BEDS_MAX} precision={0} />
          </Form.Item>
        )}
        <Form.Item name="days" label={t('office.dwelling.days')} extra={t('office.days.hint')}>
          <DatePicker.RangePicker allowEmpty={[true, true]} style={{ width: '100%' }} />
        </Form.Item>
        <Form.Item name="why" label={t('office.why')}>
          <Input maxLength={WHY_CHARS_MAX} showCount dir="auto" />
        </Form.Item>
      </Form>
    </Modal>
  );
}

/** The id of a new dwelling, as the import of a spreadsheet makes it: `b03-u2-301`. */
export function idOf(place: string, number: string): string {
  const clean = number
    .trim()
    .replaceAll(/[^A-Za-z0-9_-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return `${place}-${clean || 'x'}`.slice(0, 32);
}
