// The form of the entry search.
import { SearchOutlined, UserOutlined } from '@ant-design/icons';
import { Button, DatePicker, Form, Input, Select, Space } from 'antd';
import type { Dayjs } from 'dayjs';
import { useMemo, useState } from 'react';
import { useText } from '../../../i18n';
import { may, useMe } from '../../../session';
import { COMPOUND, useSite } from '../places';
import { NOTHING, type Search } from './search';
import { PersonDialog } from './person-dialog';

interface Fields {
  door?: string;
  building?: string;
  dwelling?: string;
  decision?: 'granted' | 'denied';
  span?: [Dayjs | null, Dayjs | null] | null;
}

export function SearchForm({ search, onSearch }: { search: Search; onSearch: (search: Search) => void }) {
  const t = useText();
  const me = useMe();
  const site = useSite();
  const [form] = Form.useForm<Fields>();
  const [isPerson, setPerson] = useState(false);
  const buildings = useMemo(() => [...new Set(site.places.map((place) => place.building))], [site.places]);
  const read = (fields: Fields): Search => ({
    ...NOTHING,
    door: fields.door ?? null,
    building: fields.building ?? null,
    dwelling: fields.dwelling?.trim() || null,
    decision: fields.decision ?? null,
    from: fields.span?.[0]?.valueOf() ?? null,
    to: fields.span?.[1]?.valueOf() ?? null,
  });
  return (
    <>
      <Form<Fields> form={form} layout="inline" className="sg-search" onFinish={(fields) => onSearch(read(fields))}>
        <Form.Item name="span" label={t('duty.search.time')}>
          <DatePicker.RangePicker id={{ start: 'sg-search-first' }} showTime={{ format: 'HH:mm' }} format="MM-DD HH:mm" allowEmpty={[true, true]} />
        </Form.Item>
        <Form.Item name="building" label={t('duty.search.building')}>
          <Select
            allowClear
            showSearch
            className="sg-search-short"
            options={[
              { value: COMPOUND, label: t('duty.place.compound') },
              ...buildings.map((building) => ({ value: building, label: t('duty.place.building', { building }) })),
            ]}
          />
        </Form.Item>
        <Form.Item name="door" label={t('duty.fact.door')}>
          <Select
            allowClear
            showSearch={{ optionFilterProp: 'label' }}
            className="sg-search-long"
            options={site.doors.map(({ door, place }) => ({ value: door, label: `${site.name(place)} · ${door}` }))}
          />
        </Form.Item>
        <Form.Item name="dwelling" label={t('duty.fact.dwelling')}>
          <Input allowClear maxLength={64} className="sg-search-short" />
        </Form.Item>
        <Form.Item name="decision" label={t('duty.fact.decision')}>
          <Select
            allowClear
            className="sg-search-short"
            options={(['granted', 'denied'] as const).map((value) => ({ value, label: t(`duty.decision.${value}`) }))}
          />
        </Form.Item>
        <Space size={8}>
          <Button type="primary" htmlType="submit" icon={<SearchOutlined aria-hidden />}>{t('duty.search.go')}</Button>
          {may(me, 'search-person') && (
            <Button icon={<UserOutlined aria-hidden />} onClick={() => setPerson(true)}>{t('duty.search.person')}</Button>
          )}
          <Button
            onClick={() => {
              form.resetFields();
              onSearch(NOTHING);
            }}
          >
            {t('duty.search.clear')}
          </Button>
        </Space>
      </Form>
      {search.holder !== null && <p className="sg-dim">{t('duty.search.of-person', { holder: search.holder })}</p>}
      {isPerson && (
        <PersonDialog
          onClose={() => setPerson(false)}
          onChosen={(holder) => {
            setPerson(false);
            onSearch({ ...read(form.getFieldsValue()), holder });
          }}
        />
      )}
    </>
  );
}
