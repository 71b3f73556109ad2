// Why someone looks at a clip, a picture or a person: the case it is for, or a reason that they say once for a search.
import { Button, Form, Input, Modal, Space } from 'antd';
import { createContext, useCallback, useContext, useMemo, useRef, useState, type ReactNode } from 'react';
import type { Query } from '../../api/client';
import { useText } from '../../i18n';
import { whenLeaving } from '../../leave';
import { useMe } from '../../session';

/** What the gateway asks for with each such look: it goes into the audit. */
export type Grounds = { case: string } | { reason: string };

export const REASON_CHARS_MAX = 200;
/** What is usual in the duty room, where a reason is for one search, and in the office, where it is for a sitting. */
const USUAL = {
  duty: ['alert', 'resident', 'police', 'device'],
  office: ['card', 'register', 'resident', 'police'],
} as const;
type Room = keyof typeof USUAL;

export function groundsQuery(grounds: Grounds): Query {
  return 'case' in grounds ? { case: grounds.case } : { reason: grounds.reason };
}

interface Reasons {
  /** What was said; `null`: nothing yet. */
  reason: string | null;
  /** The reason, asked for when there is none; `null` when nobody wants to say one. */
  need: () => Promise<string | null>;
  forget: () => void;
}

const Context = createContext<Reasons | null>(null);

/** What an account said in the office, until it leaves. */
const saidInOffice = new Map<string, string>();
whenLeaving(() => saidInOffice.clear());

/** Remembers one reason: for what is inside, as a search, or for all pages of the office. */
export function ReasonProvider({ room = 'duty', children }: { room?: Room; children: ReactNode }) {
  const t = useText();
  const { name } = useMe();
  const [reason, setOwn] = useState<string | null>(room === 'office' ? (saidInOffice.get(name) ?? null) : null);
  const setReason = useCallback(
    (value: string | null) => {
      setOwn(value);
      if (room !== 'office') return;
      if (value === null) saidInOffice.delete(name);
      else saidInOffice.set(name, value);
    },
    [room, name],
  );
  const [isOpen, setOpen] = useState(false);
  const [form] = Form.useForm<{ reason: string }>();
  const waiting = useRef<((reason: string | null) => void)[]>([]);

  const answer = useCallback((value: string | null) => {
    setOpen(false);
    if (value !== null) setReason(value);
    for (const then of waiting.current) then(value);
    waiting.current = [];
  }, [setReason]);
  const need = useCallback(() => {
    if (reason !== null) return Promise.resolve(reason);
    setOpen(true);
    return new Promise<string | null>((then) => waiting.current.push(then));
  }, [reason]);
  const value = useMemo(() => ({ reason, need, forget: () => setReason(null) }), [reason, need, setReason]);

  return (
    <Context value={value}>
      {children}
      <Modal
        title={t('duty.reason.title')}
        open={isOpen}
        onCancel={() => answer(null)}
        onOk={form.submit}
        okText={t('duty.reason.ok')}
        destroyOnHidden
        width={460}
      >
        <p className="sg-dim">{t(`duty.reason.lead.${room}`)}</p>
        <Form form={form} layout="vertical" preserve={false} onFinish={({ reason }) => answer(reason.trim())}>
          <Form.Item
            name="reason"
            label={t('duty.reason.label')}
            rules={[{ required: true, whitespace: true, message: t('duty.reason.label') }]}
          >
            <Input autoFocus maxLength={REASON_CHARS_MAX} showCount />
          </Form.Item>
          <Space wrap size={6}>
            {USUAL[room].map((word) => (
              <Button key={word} size="small" onClick={() => form.setFieldsValue({ reason: t(`duty.reason.${word}`) })}>
                {t(`duty.reason.${word}`)}
              </Button>
            ))}
          </Space>
        </Form>
      </Modal>
    </Context>
  );
}

export function useReason(): Reasons {
  const value = useContext(Context);
  if (!value) throw new Error('what asks for a reason stands inside ReasonProvider');
  return value;
}
