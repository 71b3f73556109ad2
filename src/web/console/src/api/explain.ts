// What a person reads when something was refused or failed.
import { isKey, type Text } from '../i18n';
import { ApiProblem } from './problem';

/** `error` in the reader's words: ours for what happens every day, the gateway's own detail otherwise. */
export function explain(error: unknown, t: Text): string {
  if (!(error instanceof ApiProblem)) return error instanceof Error ? error.message : String(error);
  const own = `problem.${error.code}`;
  if (isKey(own)) return t(own);
  if (error.status === 503 || error.status === 429) return t('problem.busy');
  return error.message === '' ? `${error.status} ${error.code}` : error.message;
}
