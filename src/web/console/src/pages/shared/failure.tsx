// What went wrong, in words, with a way to try again.

import { Alert, Button } from 'antd';
import { explain } from '../../api/explain';
import { useText } from '../../i18n';

export function Failure({
  error,
  retry,
  isSmall,
}: {
  error: unknown;
  retry?: () => void;
  isSmall?: boolean;
}) {
  const t = useText();
  if (!error) return null;
  return (
    <Alert
      type="error"
      showIcon
      role="alert"
      className={isSmall ? 'failure failure-small' : 'failure'}
      title={explain(error, t)}
      action={
        retry && (
          <Button size="small" onClick={retry}>
            {t('app.retry')}
          </Button>
        )
      }
    />
  );
}
