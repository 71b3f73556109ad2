// A door: its place, its cameras, its controller.

import { Form, Input, InputNumber, Radio, Select } from 'antd';
import { useText } from '../../i18n';
import type { Lists } from './draft';
import { IdItem, LogInItems, PlaceItem, RowDialog } from './row-tools';
import type { DoorRow } from './types';

type Values = Omit<DoorRow, 'match'> & {
  match?: { topic?: string; hostname?: string; device_id?: number | null; door?: number | null };
};

/** Which dialects name the door in their messages. */
const NEEDS_MATCH = ['esp-rfid', 'uhppoted'];

export function DoorForm({
  lists,
  door,
  onClose,
  onDone,
}: {
  lists: Lists;
  door: DoorRow | null;
  onClose: () => void;
  onDone: (row: DoorRow) => void;
}) {
  const t = useText();
  const [form] = Form.useForm<Values>();
  const controller = Form.useWatch('controller', form);

  const finish = (found: Values) => {
    const { match, ...rest } = found;
    const next: DoorRow = { ...door, ...rest, id: found.id.trim() };
    if (!next.password) delete next.password;
    if (!next.username) delete next.username;
    const said = Object.entries(match ?? {}).filter(
      (entry): entry is [string, string | number] =>
        entry[1] !== null && entry[1] !== undefined && entry[1] !== '',
    );
    if (NEEDS_MATCH.includes(found.controller ?? '') && said.length > 0) {
      next.match = Object.fromEntries(said);
    } else {
      delete next.match;
    }
    onDone(next);
  };
  return (
    <RowDialog
      width={640}
      title={door ? t('install.door.change') : t('install.door.add')}
      submit={() => form.submit()}
      onClose={onClose}
    >
      <Form<Values>
        form={form}
        layout="vertical"
        requiredMark="optional"
        initialValues={door ?? { controller: 'native', decision: 'record', cameras: [] }}
        onFinish={finish}
      >
        <div className="form-grid">
          <PlaceItem
            lists={lists}
            onChange={(place) => {
              if (door) return;
              if (!form.getFieldValue('id')) {
                form.setFieldValue('id', `${place}-door`.slice(0, 32));
              }
              const near = lists.cameras.filter((one) => one.place === place);
              form.setFieldValue(
                'cameras',
                near.map((one) => one.id),
              );
            }}
          />
          <IdItem was={door?.id} rows={lists.doors} />
        </div>
        <Form.Item name="cameras" label={t('install.door.cameras')} extra={t('install.door.cameras.hint')}>
          <Select mode="multiple" options={lists.cameras.map((one) => ({ value: one.id, label: one.id }))} />
        </Form.Item>
        <div className="form-grid">
          <Form.Item name="controller" label={t('install.door.controller')}>
            <Select options={['native', 'esp-rfid', 'uhppoted'].map((value) => ({ value, label: value }))} />
          </Form.Item>
          <Form.Item
            name="decision"
            label={t('install.door.decision')}
            extra={t('install.door.decision.hint')}
          >
            <Radio.Group
              optionType="button"
              options={(['record', 'online'] as const).map((value) => ({
                value,
                label: t(`install.door.decision.${value}`),
              }))}
            />
          </Form.Item>
        </div>
        {NEEDS_MATCH.includes(controller ?? '') && (
          <div className="form-grid">
            <Form.Item name={['match', 'topic']} label={t('install.door.topic')}>
              <Input className="mono" autoComplete="off" />
            </Form.Item>
            {controller === 'esp-rfid' && (
              <Form.Item name={['match', 'hostname']} label={t('install.door.hostname')}>
                <Input className="mono" autoComplete="off" />
              </Form.Item>
            )}
            {controller === 'uhppoted' && (
              <>
                <Form.Item name={['match', 'device_id']} label={t('install.door.device')}>
                  <InputNumber min={1} precision={0} style={{ width: '100%' }} />
                </Form.Item>
                <Form.Item name={['match', 'door']} label={t('install.door.number')}>
                  <InputNumber min={1} max={4} precision={0} style={{ width: '100%' }} />
                </Form.Item>
              </>
            )}
          </div>
        )}
        <LogInItems label={t('install.door.username')} isKept={door?.has_password} />
      </Form>
    </RowDialog>
  );
}
