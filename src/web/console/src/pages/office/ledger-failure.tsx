// A refusal of the ledger in plain words, with the reckoning; any other failure as it is.

import { Alert } from 'antd';
import { ApiProblem } from '../../api/client';
import { type Key, type Text, useText } from '../../i18n';
import { Failure } from '../shared/failure';
import { asSentence } from './reckoning';
import type { Reckoning } from './types';

const REFUSALS: Record<string, Key> = {
  'no-dwelling': 'office.refused.no-dwelling',
  'no-holder': 'office.refused.no-holder',
  'no-card': 'office.refused.no-card',
  'no-place': 'office.refused.no-place',
  'holder-exists': 'office.refused.holder-exists',
  'card-taken': 'office.refused.card-taken',
  'dates-backwards': 'office.refused.dates-backwards',
  beds: 'office.refused.beds',
  number: 'office.refused.number',
  crowded: 'office.refused.crowded',
  stale: 'office.refused.stale',
  'capture-gone': 'office.refused.capture-gone',
};

export function LedgerFailure({
  error,
  nameOf,
}: {
  error: Error | null;
  nameOf?: (holder: string) => string;
}) {
  const t = useText();
  if (!error) return null;
  const words = refusalWords(t, error, nameOf);
  if (!words) return <Failure error={error} />;
  return (
    <Alert
      type="error"
      showIcon
      role="alert"
      className="refusal"
      data-testid="refusal"
      title={words.title}
      description={words.detail}
    />
  );
}

/** `null`: it is no refusal of the ledger. */
export function refusalWords(
  t: Text,
  error: Error,
  nameOf: (holder: string) => string = (holder) => holder,
): { title: string; detail?: string } | null {
  if (!(error instanceof ApiProblem)) return null;
  const { code, more } = error;
  if (code === 'cardholder-limit-reached' && more.reckoning) {
    const of = {
      limit: (more.limit as number | null) ?? null,
      holders: more.holders as number,
      reckoning: more.reckoning as Reckoning,
    };
    return {
      title: t('office.refused.limit', { day: textOf(more.day) }),
      detail: asSentence(t, of),
    };
  }
  const key = REFUSALS[code];
  if (!key) return null;
  return { title: t(key, { holder: nameOf(textOf(more.holder)) }) };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
