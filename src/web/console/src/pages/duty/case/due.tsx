// How much time is left for the next step, by the gateway's clock.
import type { Case } from '../../../api/types';
import { lengthText } from '../../../frame/time';
import { useLanguage, useText } from '../../../i18n';

/** The last part of a deadline, in which the countdown stands out. */
const SOON_MS = 60_000;

export function Due({ of, now }: { of: Case; now: number }) {
  const t = useText();
  const language = useLanguage();
  if (of.due_step === null) return null;
  const step = t(`duty.step.${of.due_step}`);
  const dueMs = of.due_at === null ? null : Date.parse(of.due_at);
  const lateSince = of.overdue_since ? Date.parse(of.overdue_since) : null;
  if (of.overdue || (dueMs !== null && dueMs < now)) {
    const ms = now - (lateSince ?? dueMs ?? now);
    return (
      <span className="sg-due" data-due="late">{t('duty.due.late', { step, time: lengthText(ms, language) })}</span>
    );
  }
  if (dueMs === null) return null;
  const left = dueMs - now;
  return (
    <span className="sg-due" data-due={left < SOON_MS ? 'soon' : 'ok'}>
      {t('duty.due.left', { step, time: lengthText(left, language) })}
    </span>
  );
}
