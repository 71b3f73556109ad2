// One's own password, changed.
import { App, Form, Input, Modal } from 'antd';
import { useState } from 'react';
import { request } from '../api/client';
import { explain } from '../api/explain';
import { useText } from '../i18n';

/** The gateway asks for as many. */
export const PASSWORD_CHARS_MIN = 12;

interface Passwords {
  current: string;
  fresh: string;
  again: string;
}

export function PasswordDialog({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const t = useText();
  const { message } = App.useApp();
  const [form] = Form.useForm<Passwords>();
  const [isBusy, setBusy] = useState(false);
  const save = async ({ current, fresh }: Passwords) => {
    setBusy(true);
    try {
      await request('PUT', '/me/password', { body: { current, new: fresh } });
      message.success(t('password.done'));
      onClose();
    } catch (error) {
      form.setFields([{ name: 'current', errors: [explain(error, t)] }]);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal
      title={t('password.title')}
      open={isOpen}
      onCancel={onClose}
      onOk={form.submit}
      confirmLoading={isBusy}
      destroyOnHidden
      width={420}
    >
      <Form form={form} layout="vertical" preserve={false} onFinish={(values) => void save(values)}>
        <Form.Item name="current" label={t('password.current')} rules={[{ required: true, message: t('password.current') }]}>
          <Input.Password autoComplete="current-password" />
        </Form.Item>
        <NewPassword name="fresh" label={t('password.new')} />
      </Form>
    </Modal>
  );
}

/** A new password, typed twice: the fields `name` and `again` of a form. */
export function NewPassword({ name, label }: { name: string; label: string }) {
  const t = useText();
  return (
    <>
      <Form.Item name={name} label={label} rules={[{ required: true, min: PASSWORD_CHARS_MIN, message: t('setup.short') }]}>
        <Input.Password autoComplete="new-password" />
      </Form.Item>
      <Form.Item
        name="again"
        label={t('setup.again')}
        dependencies={[name]}
        rules={[
          { required: true, message: t('setup.again') },
          ({ getFieldValue }) => ({
            validator: (_, value) =>
              !value || getFieldValue(name) === value ? Promise.resolve() : Promise.reject(new Error(t('setup.differ'))),
          }),
        ]}
      >
        <Input.Password autoComplete="new-password" />
      </Form.Item>
    </>
  );
}
