// The steps of a case as buttons: what is possible from where it stands and by whoever is logged in.
import { App, Button, Form, Input, Modal, Select, Space } from 'antd';
import { useState, type ReactNode } from 'react';
import { ApiProblem, request } from '../../../api/client';
import { explain } from '../../../api/explain';
import type { Alert, Case, Me, StepKind, Tier } from '../../../api/types';
import { useKeys } from '../../../frame/keys';
import { useText } from '../../../i18n';
import { may, useMe } from '../../../session';
import { useDuty } from '../feed/feed';

/** The order people expect; the next one due stands out. */
const STEPS: StepKind[] = ['acknowledge', 'dispatch', 'accept', 'resolve', 'verify', 'close', 'cancel', 'reopen'];
export const STEP_KEYS: Record<StepKind, string> = {
  acknowledge: 'a', dispatch: 'd', accept: 't', resolve: 'r', verify: 'v', close: 'c', cancel: 'x', reopen: 'o',
};
/** Steps that must say what was done, or why. */
const NEEDS_NOTE: StepKind[] = ['resolve', 'reopen', 'cancel'];
const TIERS: Tier[] = ['community', 'street', 'district'];
const NOTE_CHARS_MAX = 500;
const PARTY_CHARS_MAX = 64;

interface StepBody {
  note?: string;
  party?: string;
  tier?: Tier;
}

/** What `me` can do with `case` now. */
export function stepsFor(me: Me, { legal }: Case): StepKind[] {
  return STEPS.filter((step) => legal.includes(step) && may(me, `case-${step}`));
}

export function Steps({ alert, onTaken }: { alert: Alert; onTaken: (alert: Alert) => void }) {
  const t = useText();
  const me = useMe();
  const { feed } = useDuty();
  const { message } = App.useApp();
  const [busy, setBusy] = useState<StepKind | null>(null);
  const [asking, setAsking] = useState<StepKind | null>(null);
  const steps = alert.case ? stepsFor(me, alert.case) : [];

  const take = async (step: StepKind, body: StepBody) => {
    setBusy(step);
    try {
      const after = await request<Alert>('POST', `/alerts/${alert.id}/${step}`, { body });
      setAsking(null);
      feed.take(after);
      onTaken(after);
      message.success(t('duty.step.done', { step: t(`duty.step.${step}`) }));
    } catch (error) {
      message.error(explain(error, t));
      // Someone else was quicker: show where the case stands now.
      if (error instanceof ApiProblem && error.status === 409) onTaken(alert);
    } finally {
      setBusy(null);
    }
  };
  const begin = (step: StepKind) => {
    if (busy !== null) return;
    if (step === 'dispatch' || NEEDS_NOTE.includes(step)) setAsking(step);
    else void take(step, {});
  };
  useKeys(
    'duty.step.keys',
    steps.map((step) => ({ key: STEP_KEYS[step], label: `duty.step.${step}` as const, act: () => begin(step) })),
  );
  if (steps.length === 0) return null;
  const due = alert.case?.due_step;
  return (
    <>
      <Space wrap size={8} className="sg-steps">
        {steps.map((step) => (
          <Button
            key={step}
            type={step === due ? 'primary' : 'default'}
            danger={step === 'cancel'}
            loading={busy === step}
            data-step={step}
            onClick={() => begin(step)}
          >
            {t(`duty.step.${step}`)}
            <kbd aria-hidden="true">{STEP_KEYS[step]}</kbd>
          </Button>
        ))}
      </Space>
      <StepDialog
        step={asking}
        alert={alert}
        isBusy={busy !== null}
        onCancel={() => setAsking(null)}
        onTake={(step, body) => void take(step, body)}
      />
    </>
  );
}

interface DialogProps {
  step: StepKind | null;
  alert: Alert;
  isBusy: boolean;
  onCancel: () => void;
  onTake: (step: StepKind, body: StepBody) => void;
}

function StepDialog({ step, alert, isBusy, onCancel, onTake }: DialogProps): ReactNode {
  const t = useText();
  const [form] = Form.useForm<StepBody>();
  if (step === null) return null;
  const needsNote = NEEDS_NOTE.includes(step);
  const finish = ({ note, party, tier }: StepBody) => {
    const body: StepBody = {};
    if (note?.trim()) body.note = note.trim();
    if (party?.trim()) body.party = party.trim();
    if (tier) body.tier = tier;
    onTake(step, body);
  };
  return (
    <Modal
      title={t(`duty.step.${step}`)}
      open
      onCancel={onCancel}
      onOk={form.submit}
      okText={t(`duty.step.${step}`)}
      okButtonProps={{ danger: step === 'cancel' }}
      confirmLoading={isBusy}
      width={480}
    >
      <Form<StepBody> form={form} layout="vertical" onFinish={finish}>
        {step === 'dispatch' && (
          <>
            <Form.Item
              name="party"
              label={t('duty.step.party')}
              rules={alert.case?.party ? [] : [{ required: true, whitespace: true, message: t('duty.step.party.needed') }]}
              extra={alert.case?.party ? t('duty.step.party.proposed', { party: alert.case.party }) : undefined}
            >
              <Input autoFocus maxLength={PARTY_CHARS_MAX} placeholder={alert.case?.party ?? ''} />
            </Form.Item>
            <Form.Item name="tier" label={t('duty.step.tier')}>
              <Select allowClear options={TIERS.map((tier) => ({ value: tier, label: t(`duty.tier.${tier}`) }))} />
            </Form.Item>
          </>
        )}
        <Form.Item
          name="note"
          label={t(needsNote ? `duty.step.note.${step as 'resolve' | 'reopen' | 'cancel'}` : 'duty.step.note')}
          rules={needsNote ? [{ required: true, whitespace: true, message: t('duty.step.note.needed') }] : []}
        >
          <Input.TextArea
            autoFocus={step !== 'dispatch'}
            rows={3}
            maxLength={NOTE_CHARS_MAX}
            onPressEnter={(event) => {
              if (event.ctrlKey) form.submit();
            }}
          />
        </Form.Item>
      </Form>
    </Modal>
  );
}
