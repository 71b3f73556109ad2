// Shown while a page's code or first data is on its way.
import { Spin } from 'antd';
import { useText } from '../i18n';

export function Loading() {
  const t = useText();
  return (
    <div className="sg-loading" role="status" aria-label={t('app.loading')}>
      <Spin size="large" />
    </div>
  );
}
