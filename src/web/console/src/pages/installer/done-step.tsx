// What is still missing before the site can be relied on.

import { CheckCircleFilled } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Alert, Button, Result, Skeleton } from 'antd';
import { useNavigate } from 'react-router';
import { type Page, request } from '../../api/client';
import { useLanguage, useText } from '../../i18n';
import { Failure } from '../shared/failure';
import type { Missing } from './types';

/** A camera needs a moment to come up after a change. */
const ASK_EVERY_MS = 5_000;

export function DoneStep({ isDirty }: { isDirty: boolean }) {
  const t = useText();
  const language = useLanguage();
  const navigate = useNavigate();
  const missing = useQuery({
    queryKey: ['site-missing'],
    refetchInterval: ASK_EVERY_MS,
    queryFn: ({ signal }) => request<Page<Missing>>('GET', '/site/missing', { signal }),
  });
  // What the site cannot do without comes first.
  const items = missing.data?.items.toSorted(
    (a, b) => Number(a.severity === 'advised') - Number(b.severity === 'advised'),
  );
  return (
    <div data-testid="missing">
      {isDirty && <Alert type="warning" showIcon title={t('install.done.unsaved')} />}
      <Failure error={missing.error} retry={() => void missing.refetch()} />
      {missing.isLoading && <Skeleton active />}
      {items?.length === 0 && (
        <Result
          status="success"
          icon={<CheckCircleFilled aria-hidden />}
          title={t('install.done.all')}
          subTitle={t('install.done.all.hint')}
          extra={
            <Button type="primary" onClick={() => void navigate('/health')}>
              {t('install.done.health')}
            </Button>
          }
        />
      )}
      {items && items.length > 0 && (
        <>
          <h2>{t('install.done.missing', { n: items.length })}</h2>
          <ul className="missing">
            {items.map((one) => (
              <li
                key={`${one.code}/${one.where}`}
                className={one.severity === 'advised' ? 'advised' : undefined}
              >
                <span>{language === 'zh' ? one.text_zh : one.text_en}</span>
                {one.where && (
                  <code>
                    <bdi>{one.where}</bdi>
                  </code>
                )}
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
