// A camera's address and log-in, with a probe before it is taken.

import { AutoComplete, Button, Form, Input, Radio } from 'antd';
import { useState } from 'react';
import { useText } from '../../i18n';
import type { Lists } from './draft';
import { ProbeView, useProbe } from './probe';
import { IdItem, LogInItems, PlaceItem, RowDialog } from './row-tools';
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
  const values = (found: CameraRow): CameraRow => {
    const kept = camera ?? {};
    const next = { ...kept, ...found, id: found.id.trim(), url: found.url.trim() };
    if (!next.password) delete next.password;
    if (!next.sub_url) next.sub_url = camera?.sub_url === undefined ? undefined : null;
    return next;
  };
  return (
    <RowDialog
      width={720}
      title={camera ? t('install.camera.change') : t('install.camera.add')}
      submit={() => form.submit()}
      onClose={onClose}
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
          <PlaceItem
            lists={lists}
            onChange={(place) => {
              if (!camera && !form.getFieldValue('id')) {
                form.setFieldValue('id', `${place}-in`.slice(0, 32));
              }
            }}
          />
          <IdItem was={camera?.id} rows={lists.cameras} />
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
        <LogInItems label={t('install.username')} isKept={camera?.has_password} />
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
    </RowDialog>
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
