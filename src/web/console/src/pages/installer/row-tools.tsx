// What every list of the installer has: a button that adds, tools of a row, and the form of one thing with its id and place.

import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Form, Input, Modal, Select, Space } from 'antd';
import type { ReactNode } from 'react';
import { useText } from '../../i18n';
import { ID_PATTERN, type Lists } from './draft';
import { placeOptions } from './places';

export function AddRow({ label, onClick }: { label: string; onClick: () => void }) {
  return (
    <Button type="primary" icon={<PlusOutlined aria-hidden />} onClick={onClick}>
      {label}
    </Button>
  );
}

export function RowTools({
  id,
  whyKept,
  change,
  remove,
  children,
}: {
  id: string;
  /** Why it cannot be removed, if so. */
  whyKept?: string;
  change: () => void;
  remove: () => void;
  children?: ReactNode;
}) {
  const t = useText();
  return (
    <Space>
      {children}
      <Button size="small" type="text" onClick={change}>
        {t('common.change')}
      </Button>
      <Button
        size="small"
        type="text"
        danger
        icon={<DeleteOutlined aria-hidden />}
        disabled={whyKept !== undefined}
        title={whyKept}
        aria-label={t('install.remove', { id })}
        onClick={remove}
      />
    </Space>
  );
}

/** The dialog around a form that `submit` sends. */
export function RowDialog({
  title,
  width,
  submit,
  onClose,
  children,
}: {
  title: string;
  width?: number;
  submit: () => void;
  onClose: () => void;
  children: ReactNode;
}) {
  const t = useText();
  return (
    <Modal
      open
      style={{ top: 40 }}
      width={width}
      title={title}
      okText={t('install.take')}
      onOk={submit}
      onCancel={onClose}
      mask={{ closable: false }}
    >
      {children}
    </Modal>
  );
}

/** An id that no other of `rows` has; that of a row that is there stays. */
export function IdItem({ was, rows }: { was: string | undefined; rows: { id: string }[] }) {
  const t = useText();
  const isTaken = (id: string) => id !== was && rows.some((one) => one.id === id);
  return (
    <Form.Item
      name="id"
      label={t('install.id')}
      rules={[
        { pattern: ID_PATTERN, required: true, message: t('install.id.bad') },
        {
          validator: (_, id: string) =>
            isTaken(id) ? Promise.reject(new Error(t('install.id.taken'))) : Promise.resolve(),
        },
      ]}
    >
      <Input disabled={was !== undefined} className="mono" autoComplete="off" />
    </Form.Item>
  );
}

export function PlaceItem({ lists, onChange }: { lists: Lists; onChange: (place: string) => void }) {
  const t = useText();
  return (
    <Form.Item
      name="place"
      label={t('install.place')}
      rules={[{ required: true, message: t('install.place.needed') }]}
    >
      <Select
        showSearch={{ optionFilterProp: 'label' }}
        options={placeOptions(t, lists.stairwells)}
        onChange={onChange}
      />
    </Form.Item>
  );
}

/** A log-in; a password that is kept is not shown, and stays when nothing is typed. */
export function LogInItems({ label, isKept }: { label: string; isKept: boolean | undefined }) {
  const t = useText();
  return (
    <div className="form-grid">
      <Form.Item name="username" label={label}>
        <Input autoComplete="off" />
      </Form.Item>
      <Form.Item
        name="password"
        label={t('install.password')}
        extra={isKept ? t('install.password.kept') : undefined}
      >
        <Input.Password autoComplete="new-password" />
      </Form.Item>
    </div>
  );
}
