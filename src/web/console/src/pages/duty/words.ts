// Words for what the gateway sends as words: unknown ones are shown as they came.
import { isKey, type Text } from '../../i18n';

/** Why a decision was made. */
export function reasonWord(reason: string, t: Text): string {
  const key = `duty.reason-word.${reason}`;
  return isKey(key) ? t(key) : reason;
}

/** What an alert is about. */
export function kindWord(kind: string, t: Text): string {
  const key = `duty.kind.${kind}`;
  return isKey(key) ? t(key) : kind;
}
