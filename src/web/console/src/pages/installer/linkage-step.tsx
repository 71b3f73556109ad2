// Linkages: where alerts go, and whether someone answers there.

import { Alert, Button, Flex, Form, Input, InputNumber, Select, Space, Switch, Table } from 'antd';
import { useState } from 'react';
import { request } from '../../api/client';
import { useText } from '../../i18n';
import { Failure } from '../shared/failure';
import { useTimes } from '../shared/times';
import { Tone } from '../shared/tone';
import type { StepProps } from './compound-step';
import { type Lists, withoutRow, withRow } from './draft';
import { AddRow, IdItem, RowDialog, RowTools } from './row-tools';
import type { LinkageRow } from './types';

interface Answer {
  is_up: boolean;
  detail: string;
  took_ms: number;
}

const KINDS: Record<LinkageRow['kind'], RegExp> = {
  webhook: /^https?:\/\/\S+$/,
  grpc: /^https?:\/\/\S+$/,
  mqtt: /^mqtts?:\/\/\S+$/,
};

export function LinkageStep({ lists, edit, canEdit, kept }: StepProps & { kept: LinkageRow[] }) {
  const t = useText();
  const [editing, setEditing] = useState<LinkageRow | 'new' | null>(null);
  const isKept = (id: string) => kept.some((one) => one.id === id);
  return (
    <>
      <Flex justify="end" className="above-table">
        {canEdit && (
          <AddRow label={t('install.linkage.add')} onClick={() => setEditing('new')} />
        )}
      </Flex>
      {lists.linkages.length === 0 && <Alert type="info" showIcon title={t('install.linkage.none')} />}
      <Table<LinkageRow>
        size="small"
        rowKey="id"
        dataSource={lists.linkages}
        pagination={false}
        columns={[
          { title: t('install.id'), dataIndex: 'id', className: 'mono' },
          { title: t('install.linkage.kind'), dataIndex: 'kind' },
          {
            title: t('install.linkage.url'),
            dataIndex: 'url',
            render: (url: string) => <bdi className="mono wrap-anywhere">{url}</bdi>,
          },
          {
            title: t('install.state'),
            key: 'probe',
            render: (_, one) => <Probe id={one.id} canProbe={canEdit && isKept(one.id)} />,
          },
          {
            title: '',
            key: 'actions',
            align: 'right',
            render: (_, one) =>
              canEdit && (
                <RowTools
                  id={one.id}
                  change={() => setEditing(one)}
                  remove={() => edit({ linkages: withoutRow(lists.linkages, one.id) })}
                />
              ),
          },
        ]}
      />
      {editing && (
        <LinkageForm
          lists={lists}
          linkage={editing === 'new' ? null : editing}
          onClose={() => setEditing(null)}
          onDone={(row) => {
            const id = editing === 'new' ? null : editing.id;
            edit({ linkages: withRow(lists.linkages, id, row) });
            setEditing(null);
          }}
        />
      )}
    </>
  );
}

function Probe({ id, canProbe }: { id: string; canProbe: boolean }) {
  const t = useText();
  const times = useTimes();
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [isBusy, setBusy] = useState(false);
  const probe = async () => {
    setBusy(true);
    setError(null);
    try {
      const path = `/linkages/${encodeURIComponent(id)}/probe`;
      setAnswer(await request<Answer>('POST', path));
    } catch (err) {
      setError(err as Error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Space wrap>
      <Button
        size="small"
        loading={isBusy}
        disabled={!canProbe}
        title={canProbe ? undefined : t('install.door.apply-first')}
        onClick={() => void probe()}
      >
        {t('install.probe')}
      </Button>
      {answer && (
        <Tone tone={answer.is_up ? 'good' : 'bad'} testId="linkage-probe">
          {answer.is_up
            ? t('install.linkage.up', { took: times.span(answer.took_ms) })
            : t('install.linkage.down')}
        </Tone>
      )}
      {answer && !answer.is_up && <bdi className="quiet wrap-anywhere">{answer.detail}</bdi>}
      <Failure error={error} isSmall />
    </Space>
  );
}

function LinkageForm({
  lists,
  linkage,
  onClose,
  onDone,
}: {
  lists: Lists;
  linkage: LinkageRow | null;
  onClose: () => void;
  onDone: (row: LinkageRow) => void;
}) {
  const t = useText();
  const [form] = Form.useForm<LinkageRow>();
  const kind = Form.useWatch('kind', form) ?? 'webhook';
  const finish = (found: LinkageRow) => {
    const next: LinkageRow = { ...linkage, ...found, id: found.id.trim(), url: found.url.trim() };
    if (!next.secret) delete next.secret;
    if (!next.topic) delete next.topic;
    if (!next.username) delete next.username;
    if (next.timeout_s === null) delete next.timeout_s;
    onDone(next);
  };
  return (
    <RowDialog
      title={linkage ? t('install.linkage.change') : t('install.linkage.add')}
      submit={() => form.submit()}
      onClose={onClose}
    >
      <Form<LinkageRow>
        form={form}
        layout="vertical"
        requiredMark="optional"
        initialValues={linkage ?? { kind: 'webhook', kinds: ['*'], include: [], case_changes: false }}
        onFinish={finish}
      >
        <div className="form-grid">
          <IdItem was={linkage?.id} rows={lists.linkages} />
          <Form.Item name="kind" label={t('install.linkage.kind')}>
            <Select
              disabled={linkage !== null}
              options={Object.keys(KINDS).map((value) => ({ value, label: value }))}
            />
          </Form.Item>
        </div>
        <Form.Item
          name="url"
          label={t('install.linkage.url')}
          rules={[{ required: true, pattern: KINDS[kind], message: t('install.linkage.url.bad') }]}
        >
          <Input className="mono" autoComplete="off" spellCheck={false} />
        </Form.Item>
        {kind === 'mqtt' && (
          <div className="form-grid">
            <Form.Item name="topic" label={t('install.linkage.topic')}>
              <Input className="mono" autoComplete="off" />
            </Form.Item>
            <Form.Item name="username" label={t('install.username')}>
              <Input autoComplete="off" />
            </Form.Item>
          </div>
        )}
        <Form.Item
          name="secret"
          label={t(`install.linkage.secret.${kind}`)}
          extra={linkage?.has_secret ? t('install.password.kept') : undefined}
          rules={[
            {
              required: kind === 'webhook' && !linkage?.has_secret,
              message: t('install.linkage.secret.needed'),
            },
          ]}
        >
          <Input.Password autoComplete="new-password" />
        </Form.Item>
        <Form.Item name="kinds" label={t('install.linkage.kinds')} extra={t('install.linkage.kinds.hint')}>
          <Select mode="tags" tokenSeparators={[',', ' ']} options={[{ value: '*', label: '*' }]} />
        </Form.Item>
        <Form.Item
          name="include"
          label={t('install.linkage.include')}
          extra={t('install.linkage.include.hint')}
        >
          <Select
            mode="multiple"
            options={['card-tail', 'dwelling', 'detail'].map((value) => ({ value, label: value }))}
          />
        </Form.Item>
        <div className="form-grid">
          <Form.Item name="timeout_s" label={t('install.linkage.timeout')}>
            <InputNumber min={1} max={60} precision={0} placeholder="10" />
          </Form.Item>
          <Form.Item name="case_changes" label={t('install.linkage.case')} valuePropName="checked">
            <Switch />
          </Form.Item>
        </div>
      </Form>
    </RowDialog>
  );
}
