// The head of a page: what it is, and what can be done with it.

import { ArrowLeftOutlined } from '@ant-design/icons';
import type { ReactNode } from 'react';
import { Link } from 'react-router';
import { useText } from '../../i18n';
import '../../style/office.css';

export function PageHead({
  title,
  hint,
  back,
  tag,
  children,
}: {
  title: ReactNode;
  hint?: ReactNode;
  /** The page above this one. */
  back?: string;
  tag?: ReactNode;
  /** Buttons. */
  children?: ReactNode;
}) {
  const t = useText();
  return (
    <header className="page-head">
      {back && (
        <Link to={back} className="page-back" aria-label={t('common.back')}>
          <ArrowLeftOutlined />
        </Link>
      )}
      <div className="page-title">
        <h1>
          <bdi>{title}</bdi> {tag}
        </h1>
        {hint && (
          <p className="quiet">
            <bdi>{hint}</bdi>
          </p>
        )}
      </div>
      <div className="page-actions">{children}</div>
    </header>
  );
}
