// A change of the site before it is made: what is wrong, what differs, the difference of the file; then apply.

import { Alert, Button, Modal, Skeleton, Table, Tabs } from 'antd';
import { useEffect, useState } from 'react';
import { ApiProblem, request } from '../../api/client';
import { isKey, type Text, useLanguage, useText } from '../../i18n';
import { Failure } from '../shared/failure';
import { useNotices } from '../shared/notices';
import { Tone } from '../shared/tone';
import type { SiteChange, SiteProblem, Verdict } from './types';

const COLOURS = { added: 'good', removed: 'bad', changed: 'info' } as const;

export function ChangeDialog({
  change,
  onClose,
  onApplied,
  onMeanwhile,
}: {
  change: SiteChange;
  onClose: () => void;
  onApplied: () => Promise<void>;
  /** Somebody else changed the site: it is to be read anew. */
  onMeanwhile: () => Promise<void>;
}) {
  const t = useText();
  const { said } = useNotices();
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [isBusy, setBusy] = useState(false);

  useEffect(() => {
    const stop = new AbortController();
    request<Verdict>('POST', '/site/check', { body: change, signal: stop.signal }).then(
      setVerdict,
      (err: Error) => {
        if (!stop.signal.aborted) setError(err);
      },
    );
    return () => stop.abort();
  }, [change]);

  const apply = async () => {
    setBusy(true);
    setError(null);
    try {
      await request<Verdict>('PUT', '/site', { body: change });
      await onApplied();
      said(t('install.applied'));
      onClose();
    } catch (err) {
      const refused = reportOf(err);
      if (refused) setVerdict(refused);
      else setError(err as Error);
    } finally {
      setBusy(false);
    }
  };
  const isMeanwhile = error instanceof ApiProblem && error.code === 'changed-meanwhile';
  const canApply = verdict !== null && verdict.problems.length === 0 && verdict.changes.length > 0;
  return (
    <Modal
      open
      style={{ top: 40 }}
      width={860}
      title={t('install.check')}
      okText={t('install.apply')}
      okButtonProps={{ disabled: !canApply, loading: isBusy }}
      onOk={() => void apply()}
      onCancel={onClose}
      mask={{ closable: false }}
    >
      {isMeanwhile ? (
        <Alert
          type="warning"
          showIcon
          title={t('install.meanwhile')}
          action={
            <Button size="small" onClick={() => void onMeanwhile().then(onClose)}>
              {t('install.meanwhile.read')}
            </Button>
          }
        />
      ) : (
        <Failure error={error} />
      )}
      {!verdict && !error && <Skeleton active />}
      {verdict && <VerdictView verdict={verdict} t={t} />}
    </Modal>
  );
}

function VerdictView({ verdict, t }: { verdict: Verdict; t: Text }) {
  const language = useLanguage();
  const what = (word: string) => {
    const key = `install.what.${word}`;
    return isKey(key) ? t(key) : word;
  };
  const inWords = (one: SiteProblem) => (language === 'zh' ? one.zh : one.what);
  return (
    <div className="verdict" data-testid="verdict">
      {verdict.problems.map((one) => (
        <Alert
          key={`${one.where}${one.what}`}
          type="error"
          showIcon
          title={<code>{one.where}</code>}
          description={inWords(one)}
        />
      ))}
      {verdict.warnings.map((one) => (
        <Alert
          key={`${one.where}${one.what}`}
          type="warning"
          showIcon
          title={
            <>
              {one.where && <code>{one.where}</code>} {inWords(one)}
            </>
          }
        />
      ))}
      {verdict.problems.length === 0 && verdict.changes.length === 0 && (
        <Alert type="info" showIcon title={t('install.no-change')} />
      )}
      <Tabs
        items={[
          {
            key: 'changes',
            label: t('install.tab.changes', { n: verdict.changes.length }),
            children: (
              <Table
                size="small"
                rowKey={(one) => `${one.what}/${one.id}`}
                dataSource={verdict.changes}
                pagination={{ pageSize: 20, hideOnSinglePage: true }}
                columns={[
                  {
                    title: t('install.action'),
                    dataIndex: 'action',
                    render: (action: 'added' | 'removed' | 'changed') => (
                      <Tone tone={COLOURS[action]}>{t(`install.action.${action}`)}</Tone>
                    ),
                  },
                  { title: t('install.what'), dataIndex: 'what', render: what },
                  { title: t('install.id'), dataIndex: 'id', className: 'mono' },
                  {
                    title: t('install.fields'),
                    dataIndex: 'fields',
                    render: (fields: Verdict['changes'][number]['fields']) =>
                      fields.map((one) => (
                        <div key={one.name} className="field-change">
                          <code>{one.name}</code>{' '}
                          {one.before !== null && one.before !== undefined && (
                            <>
                              <del>
                                <bdi>{shown(one.before)}</bdi>
                              </del>{' '}
                              →{' '}
                            </>
                          )}
                          <ins>
                            <bdi>{shown(one.after)}</bdi>
                          </ins>
                        </div>
                      )),
                  },
                ]}
              />
            ),
          },
          {
            key: 'diff',
            label: t('install.tab.diff'),
            children: <DiffView diff={verdict.diff} />,
          },
        ]}
      />
    </div>
  );
}

function DiffView({ diff }: { diff: string }) {
  const t = useText();
  return (
    <pre className="diff" tabIndex={0} aria-label={t('install.tab.diff')}>
      {diff.split('\n').map((line, idx) => (
        <span key={idx} className={classOf(line)}>
          {line}
          {'\n'}
        </span>
      ))}
    </pre>
  );
}

function classOf(line: string): string {
  if (line.startsWith('+++') || line.startsWith('---') || line.startsWith('@@')) return 'diff-head';
  if (line.startsWith('+')) return 'diff-added';
  return line.startsWith('-') ? 'diff-removed' : '';
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return '–';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The report that a refused change came back with. */
function reportOf(err: unknown): Verdict | null {
  if (!(err instanceof ApiProblem) || err.status !== 422) return null;
  return Array.isArray(err.more.problems) ? (err.more as unknown as Verdict) : null;
}
