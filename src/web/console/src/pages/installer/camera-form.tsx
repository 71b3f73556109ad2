// A camera's address and log-in, with a probe before it is taken.

import { AutoComplete, Button, Form, Input, Modal, Radio, Select } from 'antd';
import { useState } from 'react';
import { useText } from '../../i18n';
import { ID_PATTERN, type Lists } from './draft';
import { placeOptions } from './places';
import { ProbeView, useProbe } from './probe';
import type { CameraRow } from './types';

export function CameraForm({
  lists,
  camera,
  onClose,
  onDone,
}: {
  lists: Lists;
  camera: CameraRow | null;
  onClose: () => void;
  onDone: (row: CameraRow) => void;
}) {
  const t = useText();
  const [form] = Form.useForm<CameraRow>();
  const [row, setRow] = useState<CameraRow>(camera ?? { id: '', place: '', url: '', transport: 'tcp' });
  const probe = useProbe(row, false);
  const taken = new Set(lists.cameras.map((one) => one.id));
  const values = (found: CameraRow): CameraRow => {
    const kept = camera ?? {};
    const next = { ...kept, ...found, id: found.id.trim(), url: found.url.trim() };
    if (!next.password) delete next.password;
    if (!next.sub_url) next.sub_url = camera?.sub_url === undefined ? undefined : null;
    return next;
  };
  return (
    <Modal
      open
      width={720}
      title={camera ? t('install.camera.change') : t('install.camera.add')}
      okText={t('install.take')}
      onOk={() => form.submit()}
      onCancel={onClose}
      mask={{ closable: false }}
    >
      <Form<CameraRow>
        form={form}
        layout="vertical"
        requiredMark="optional"
        initialValues={row}
        onValuesChange={(_, all) => setRow({ ...row, ...all })}
        onFinish={(found) => onDone(values(found))}
      >
        <div className="form-grid">
          <Form.Item
            name="place"
            label={t('install.place')}
            rules={[{ required: true, message: t('install.place.needed') }]}
          >
            <Select
              showSearch={{ optionFilterProp: 'label' }}
              options={placeOptions(t, lists.stairwells)}
              onChange={(place: string) => {
                if (!camera && !form.getFieldValue('id')) {
                  form.setFieldValue('id', `${place}-in`.slice(0, 32));
                }
              }}
            />
          </Form.Item>
          <Form.Item
            name="id"
            label={t('install.id')}
            rules={[
              { pattern: ID_PATTERN, required: true, message: t('install.id.bad') },
              {
                validator: (_, id: string) =>
                  id !== camera?.id && taken.has(id)
                    ? Promise.reject(new Error(t('install.id.taken')))
                    : Promise.resolve(),
              },
            ]}
          >
            <Input disabled={camera !== null} className="mono" autoComplete="off" />
          </Form.Item>
        </div>
        <Form.Item
          name="url"
          label={t('install.camera.url')}
          extra={t('install.camera.url.hint')}
          rules={[
            {
              required: true,
              pattern: /^\s*rtsps?:\/\/[^\s@]+$/,
              message: t('install.camera.url.bad'),
            },
          ]}
        >
          <Input className="mono" autoComplete="off" spellCheck={false} />
        </Form.Item>
        <Form.Item name="sub_url" label={t('install.camera.sub')} extra={t('install.camera.sub.hint')}>
          <AutoComplete options={subUrls(row.url).map((value) => ({ value }))}>
            <Input className="mono" autoComplete="off" spellCheck={false} />
          </AutoComplete>
        </Form.Item>
        <div className="form-grid">
          <Form.Item name="username" label={t('install.username')}>
            <Input autoComplete="off" />
          </Form.Item>
          <Form.Item
            name="password"
            label={t('install.password')}
            extra={camera?.has_password ? t('install.password.kept') : undefined}
          >
            <Input.Password autoComplete="new-password" />
          </Form.Item>
        </div>
        <Form.Item name="transport" label={t('install.camera.transport')}>
          <Radio.Group
            optionType="button"
            options={[
              { value: 'tcp', label: 'TCP' },
              { value: 'udp', label: 'UDP' },
            ]}
          />
        </Form.Item>
      </Form>
      <Button onClick={probe.start} loading={probe.isBusy} disabled={!row.url.trim()}>
        {t('install.probe.now')}
      </Button>
      <ProbeView probe={probe} />
    </Modal>
  );
}

/** What the smaller stream beside `url` is called by cameras of some makes. */
function subUrls(url: string): string[] {
  const found: string[] = [];
  if (/\/Channels\/\d+01$/.test(url)) found.push(url.replace(/01$/, '02'));
  if (url.includes('subtype=0')) found.push(url.replace('subtype=0', 'subtype=1'));
  if (/\/main(\/|$)/.test(url)) found.push(url.replace('/main', '/sub'));
  return found;
}
