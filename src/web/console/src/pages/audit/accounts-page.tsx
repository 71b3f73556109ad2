// Accounts: who may what and where, links to set a password, sessions that can be ended.

import { LinkOutlined, PlusOutlined } from '@ant-design/icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import {
  Alert,
  App,
  Button,
  Dropdown,
  Form,
  Input,
  Modal,
  Select,
  Space,
  Table,
  Tabs,
  Typography,
} from 'antd';
import { useState } from 'react';
import { type Page, request } from '../../api/client';
import type { Role } from '../../api/types';
import { useText } from '../../i18n';
import { may, useMe } from '../../session';
import { useStairwells } from '../office/data';
import { byNumber } from '../office/words';
import { Failure } from '../shared/failure';
import { PageHead } from '../shared/page-head';
import { useTimes } from '../shared/times';
import { Tone } from '../shared/tone';
import { roleWord } from './audit-page';
import type { Account, Invited, SessionItem } from './types';

const ROLES: Role[] = ['duty-officer', 'property-manager', 'installer', 'auditor', 'admin'];
/** The gates, among the buildings that an account may be limited to. */
const COMPOUND = 'compound';

export default function AccountsPage() {
  const t = useText();
  const me = useMe();
  const mayManage = may(me, 'manage-accounts');
  const [editing, setEditing] = useState<Account | 'new' | null>(null);
  const [invited, setInvited] = useState<Invited | null>(null);
  return (
    <div className="accounts">
      <PageHead title={t('accounts.title')} hint={t('accounts.hint')}>
        {mayManage && (
          <Button type="primary" icon={<PlusOutlined aria-hidden />} onClick={() => setEditing('new')}>
            {t('accounts.add')}
          </Button>
        )}
      </PageHead>
      <Tabs
        items={[
          {
            key: 'accounts',
            label: t('accounts.tab.accounts'),
            children: <Accounts mayManage={mayManage} edit={setEditing} invited={setInvited} />,
          },
          {
            key: 'sessions',
            label: t('accounts.tab.sessions'),
            children: <Sessions mayManage={mayManage} />,
          },
        ]}
      />
      {editing && (
        <AccountForm
          account={editing === 'new' ? null : editing}
          onClose={() => setEditing(null)}
          onInvited={setInvited}
        />
      )}
      {invited && <InviteDialog invited={invited} onClose={() => setInvited(null)} />}
    </div>
  );
}

function Accounts({
  mayManage,
  edit,
  invited,
}: {
  mayManage: boolean;
  edit: (account: Account) => void;
  invited: (invited: Invited) => void;
}) {
  const t = useText();
  const me = useMe();
  const times = useTimes();
  const client = useQueryClient();
  const { modal } = App.useApp();
  const [error, setError] = useState<Error | null>(null);
  const accounts = useQuery({
    queryKey: ['accounts'],
    queryFn: ({ signal }) => request<Page<Account>>('GET', '/accounts', { signal }),
  });
  const path = (name: string) => `/accounts/${encodeURIComponent(name)}`;
  const act = async (deed: () => Promise<void>) => {
    setError(null);
    try {
      await deed();
      await client.invalidateQueries({ queryKey: ['accounts'] });
      await client.invalidateQueries({ queryKey: ['sessions'] });
    } catch (err) {
      setError(err as Error);
    }
  };
  const remove = (one: Account) =>
    modal.confirm({
      title: t('accounts.remove.title', { name: one.name }),
      content: t('accounts.remove.what'),
      okText: t('accounts.remove'),
      okButtonProps: { danger: true },
      onOk: () => act(() => request('DELETE', path(one.name))),
    });
  return (
    <>
      <Failure error={error ?? accounts.error} retry={() => void accounts.refetch()} />
      <Table<Account>
        size="small"
        rowKey="name"
        loading={accounts.isLoading}
        dataSource={accounts.data?.items ?? []}
        pagination={{ defaultPageSize: 50, hideOnSinglePage: true }}
        columns={[
          { title: t('accounts.name'), dataIndex: 'name', render: (name: string) => <bdi>{name}</bdi> },
          { title: t('accounts.role'), dataIndex: 'role', render: (role: string) => roleWord(t, role) },
          {
            title: t('accounts.buildings'),
            dataIndex: 'buildings',
            render: (buildings: string[] | null) =>
              buildings === null
                ? t('accounts.everywhere')
                : buildings.map((one) => (
                    <Tone key={one}>
                      {one === COMPOUND ? t('office.compound') : t('office.building', { building: one })}
                    </Tone>
                  )),
          },
          {
            title: t('accounts.state'),
            key: 'state',
            render: (_, one) =>
              one.has_password ? (
                <Tone tone="good">{t('accounts.ready')}</Tone>
              ) : (
                <Tone tone={one.n_tokens > 0 ? 'plain' : 'warn'}>
                  {t(one.n_tokens > 0 ? 'accounts.program' : 'accounts.invited')}
                </Tone>
              ),
          },
          { title: t('accounts.sessions'), dataIndex: 'n_sessions', align: 'right', className: 'numbers' },
          { title: t('accounts.tokens'), dataIndex: 'n_tokens', align: 'right', className: 'numbers' },
          {
            title: t('accounts.last'),
            dataIndex: 'last_login_at',
            className: 'numbers nowrap',
            render: (at: string | null) => times.minute(at),
          },
          {
            title: t('common.actions'),
            key: 'actions',
            hidden: !mayManage,
            render: (_, one) => (
              <Space>
                <Button size="small" onClick={() => edit(one)}>
                  {t('common.change')}
                </Button>
                <Button
                  size="small"
                  icon={<LinkOutlined aria-hidden />}
                  onClick={() =>
                    void act(async () => invited(await request<Invited>('POST', `${path(one.name)}/invite`)))
                  }
                >
                  {t('accounts.invite')}
                </Button>
                <Button
                  size="small"
                  type="text"
                  danger
                  disabled={one.name === me.name}
                  title={one.name === me.name ? t('accounts.remove.self') : undefined}
                  onClick={() => void remove(one)}
                >
                  {t('accounts.remove')}
                </Button>
              </Space>
            ),
          },
        ]}
      />
    </>
  );
}

interface Values {
  name: string;
  role: Role;
  buildings: string[];
}

function AccountForm({
  account,
  onClose,
  onInvited,
}: {
  account: Account | null;
  onClose: () => void;
  onInvited: (invited: Invited) => void;
}) {
  const t = useText();
  const client = useQueryClient();
  const stairwells = useStairwells();
  const [form] = Form.useForm<Values>();
  const role = Form.useWatch('role', form);
  const [error, setError] = useState<Error | null>(null);
  const [isBusy, setBusy] = useState(false);
  const buildings = [...new Set(stairwells.data?.items.map((one) => one.building) ?? [])].sort(byNumber);

  const save = async (values: Values) => {
    setBusy(true);
    setError(null);
    const limits = values.role === 'admin' ? [] : (values.buildings ?? []);
    const body = { role: values.role, buildings: limits.length > 0 ? limits : null };
    try {
      if (account) {
        await request('PUT', `/accounts/${encodeURIComponent(account.name)}`, { body });
      } else {
        const name = values.name.trim();
        onInvited(await request<Invited>('POST', '/accounts', { body: { name, ...body } }));
      }
      await client.invalidateQueries({ queryKey: ['accounts'] });
      onClose();
    } catch (err) {
      setError(err as Error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal
      open
      title={account ? t('accounts.change', { name: account.name }) : t('accounts.add')}
      okText={account ? t('app.save') : t('accounts.add.ok')}
      confirmLoading={isBusy}
      onOk={() => form.submit()}
      onCancel={onClose}
      mask={{ closable: false }}
    >
      <Failure error={error} />
      <Form<Values>
        form={form}
        layout="vertical"
        requiredMark="optional"
        initialValues={{
          name: account?.name,
          role: account?.role ?? 'duty-officer',
          buildings: account?.buildings ?? [],
        }}
        onFinish={(values) => void save(values)}
      >
        <Form.Item
          name="name"
          label={t('accounts.name')}
          extra={account ? undefined : t('accounts.name.hint')}
          rules={[{ required: true, whitespace: true, message: t('accounts.name.needed') }]}
        >
          <Input disabled={account !== null} autoComplete="off" maxLength={64} dir="auto" />
        </Form.Item>
        <Form.Item name="role" label={t('accounts.role')} extra={role && t(`accounts.role.${role}`)}>
          <Select options={ROLES.map((value) => ({ value, label: roleWord(t, value) }))} />
        </Form.Item>
        {role !== 'admin' && (
          <Form.Item name="buildings" label={t('accounts.buildings')} extra={t('accounts.buildings.hint')}>
            <Select
              mode="multiple"
              placeholder={t('accounts.everywhere')}
              options={[
                ...buildings.map((value) => ({ value, label: t('office.building', { building: value }) })),
                { value: COMPOUND, label: t('office.compound') },
              ]}
            />
          </Form.Item>
        )}
        {account && <Alert type="info" title={t('accounts.change.at-once')} />}
      </Form>
    </Modal>
  );
}

/** The link is shown once: the gateway keeps only its hash. */
function InviteDialog({ invited, onClose }: { invited: Invited; onClose: () => void }) {
  const t = useText();
  const link = `${window.location.origin}${invited.invite_path}`;
  return (
    <Modal
      open
      title={t('accounts.invite.title', { name: invited.name })}
      onCancel={onClose}
      footer={
        <Button type="primary" onClick={onClose}>
          {t('app.close')}
        </Button>
      }
      mask={{ closable: false }}
    >
      <p>{t('accounts.invite.what')}</p>
      <Typography.Paragraph copyable className="invite-link mono" data-testid="invite-link">
        {link}
      </Typography.Paragraph>
    </Modal>
  );
}

function Sessions({ mayManage }: { mayManage: boolean }) {
  const t = useText();
  const me = useMe();
  const times = useTimes();
  const client = useQueryClient();
  const [error, setError] = useState<Error | null>(null);
  const sessions = useQuery({
    queryKey: ['sessions'],
    queryFn: ({ signal }) => request<Page<SessionItem>>('GET', '/sessions', { signal }),
  });
  const end = async (id: string) => {
    setError(null);
    try {
      await request('DELETE', `/sessions/${encodeURIComponent(id)}`);
      await client.invalidateQueries({ queryKey: ['sessions'] });
      await client.invalidateQueries({ queryKey: ['accounts'] });
    } catch (err) {
      setError(err as Error);
    }
  };
  return (
    <>
      <Failure error={error ?? sessions.error} retry={() => void sessions.refetch()} />
      <Table<SessionItem>
        size="small"
        rowKey="id"
        loading={sessions.isLoading}
        dataSource={sessions.data?.items ?? []}
        pagination={{ defaultPageSize: 50, hideOnSinglePage: true }}
        columns={[
          {
            title: t('accounts.name'),
            dataIndex: 'name',
            render: (name: string, one) => (
              <>
                <bdi>{name}</bdi> {one.own && <Tone tone="info">{t('accounts.session.own')}</Tone>}
              </>
            ),
          },
          { title: t('audit.from'), dataIndex: 'from', className: 'mono' },
          {
            title: t('accounts.session.begun'),
            dataIndex: 'made_at',
            className: 'numbers nowrap',
            render: (at: string) => times.minute(at),
          },
          {
            title: t('accounts.session.seen'),
            dataIndex: 'seen_at',
            className: 'numbers nowrap',
            render: (at: string) => times.minute(at),
          },
          {
            title: t('accounts.session.expires'),
            dataIndex: 'expires_at',
            className: 'numbers nowrap',
            render: (at: string) => times.minute(at),
          },
          {
            title: t('common.actions'),
            key: 'actions',
            render: (_, one) =>
              (mayManage || one.name === me.name) &&
              !one.own && (
                <Dropdown
                  trigger={['click']}
                  menu={{
                    items: [{ key: 'end', danger: true, label: t('accounts.session.end.sure') }],
                    onClick: () => void end(one.id),
                  }}
                >
                  <Button size="small" danger type="text">
                    {t('accounts.session.end')}
                  </Button>
                </Dropdown>
              ),
          },
        ]}
      />
    </>
  );
}
