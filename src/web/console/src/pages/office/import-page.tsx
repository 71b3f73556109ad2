// Takes in a spreadsheet: first a dry run that shows every change and every refused row, then the import.

import { CheckCircleOutlined, DownloadOutlined, FileExcelOutlined, InboxOutlined } from '@ant-design/icons';
import { Alert, Button, Checkbox, Flex, Input, Modal, Radio, Result, Statistic, Tabs, Upload } from 'antd';
import { useState } from 'react';
import { ApiProblem, request } from '../../api/client';
import { useLanguage, useText } from '../../i18n';
import { may, useMe } from '../../session';
import { Failure } from '../shared/failure';
import { PageHead } from '../shared/page-head';
import { changeWord, ChangesTable, FindingsTable } from './import-tables';
import { useLedgerChanged } from './data';
import { giveCsv, takeFile } from './files';
import type { ImportReport } from './types';
import { WHY_CHARS_MAX } from './why-dialog';

/** As the API: the largest spreadsheet. */
const FILE_BYTES_MAX = 32 << 20;
/** A large roster takes the gateway its time. */
const ANSWER_MAX_MS = 120_000;

interface Options {
  skipRefused: boolean;
  endMissing: boolean;
  admitBeyond: boolean;
  why: string;
}

export default function ImportPage() {
  const t = useText();
  const language = useLanguage();
  const me = useMe();
  const changed = useLedgerChanged();
  const [file, setFile] = useState<File | null>(null);
  const [options, setOptions] = useState<Options>({
    skipRefused: false,
    endMissing: false,
    admitBeyond: false,
    why: '',
  });
  const [report, setReport] = useState<ImportReport | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [isBusy, setBusy] = useState(false);
  const [isAsking, setAsking] = useState(false);

  const send = async (chosen: File, isDryRun: boolean, with_: Options) => {
    setBusy(true);
    setError(null);
    setReport(null);
    try {
      setReport(await take(chosen, isDryRun, with_));
      if (!isDryRun) await changed();
    } catch (err) {
      setError(err as Error);
    } finally {
      setBusy(false);
    }
  };
  const choose = (chosen: File) => {
    setReport(null);
    if (chosen.size > FILE_BYTES_MAX) {
      setFile(null);
      setError(new Error(t('office.import.too-large')));
      return;
    }
    setFile(chosen);
    void send(chosen, true, options);
  };
  // Another choice changes what would happen, so the table is made anew.
  const option = (change: Partial<Options>) => {
    const next = { ...options, ...change };
    setOptions(next);
    if (file && !('why' in change)) void send(file, true, next);
  };
  const nChanges = report ? sum(report.counts) : 0;
  const isReady =
    report?.dry_run === true && nChanges > 0 && (report.refused_rows === 0 || options.skipRefused);

  return (
    <div className="import">
      <PageHead title={t('office.import.title')} hint={t('office.import.hint')} back="/office">
        <Button icon={<FileExcelOutlined aria-hidden />} onClick={() => void takeFile('template', language)}>
          {t('office.file.template')}
        </Button>
      </PageHead>
      <Upload.Dragger
        accept=".xlsx,.csv"
        maxCount={1}
        showUploadList={false}
        disabled={isBusy}
        beforeUpload={(chosen) => {
          choose(chosen);
          return false;
        }}
      >
        <p className="import-icon">
          <InboxOutlined />
        </p>
        <p>{file ? <bdi>{file.name}</bdi> : t('office.import.drop')}</p>
        <p className="quiet">{t('office.import.drop.hint')}</p>
      </Upload.Dragger>
      <fieldset className="import-options" disabled={isBusy}>
        <legend>{t('office.import.options')}</legend>
        <Radio.Group
          value={options.skipRefused}
          onChange={(event) => option({ skipRefused: event.target.value as boolean })}
          options={[
            { value: false, label: t('office.import.all') },
            { value: true, label: t('office.import.skip') },
          ]}
        />
        <Checkbox
          checked={options.endMissing}
          onChange={(event) => option({ endMissing: event.target.checked })}
        >
          {t('office.import.missing')}
        </Checkbox>
        {may(me, 'admit-beyond-limit') && (
          <Checkbox
            checked={options.admitBeyond}
            onChange={(event) => option({ admitBeyond: event.target.checked })}
          >
            {t('office.import.admit')}
          </Checkbox>
        )}
        <Input
          className="import-why"
          aria-label={t('office.why')}
          placeholder={t('office.why')}
          maxLength={WHY_CHARS_MAX}
          value={options.why}
          onChange={(event) => option({ why: event.target.value })}
          dir="auto"
        />
      </fieldset>
      {isBusy && <Alert type="info" showIcon title={t('office.import.busy')} role="status" />}
      {error &&
        (error instanceof ApiProblem && language === 'zh' && typeof error.more.detail_zh === 'string' ? (
          <Alert type="error" showIcon role="alert" title={error.more.detail_zh} />
        ) : (
          <Failure error={error} />
        ))}
      {report?.applied && !report.dry_run && (
        <Result
          status="success"
          icon={<CheckCircleOutlined aria-hidden />}
          title={t('office.import.done', { n: nChanges })}
          subTitle={
            report.refused_rows > 0 ? t('office.import.done.refused', { n: report.refused_rows }) : undefined
          }
        />
      )}
      {report && (
        <section aria-label={t('office.import.report')} data-testid="import-report">
          <Flex gap={40} wrap className="import-sums">
            <Statistic title={t('office.import.rows')} value={report.rows} />
            <Statistic title={t('office.import.changes')} value={nChanges} />
            <Statistic
              title={t('office.import.refused')}
              value={report.refused_rows}
              styles={{ content: report.refused_rows > 0 ? { color: 'var(--sg-s1)' } : {} }}
            />
            {report.dry_run && (
              <Button type="primary" size="large" disabled={!isReady} onClick={() => setAsking(true)}>
                {t('office.import.apply', { n: nChanges })}
              </Button>
            )}
          </Flex>
          <p className="import-counts">
            {Object.entries(report.counts).map(([change, n]) => (
              <span key={change}>
                {changeWord(t, change)} <b className="numbers">{n}</b>
              </span>
            ))}
          </p>
          {report.dry_run && nChanges === 0 && report.refused_rows === 0 && (
            <Alert type="info" showIcon title={t('office.import.nothing')} />
          )}
          {report.dry_run && report.refused_rows > 0 && !options.skipRefused && (
            <Alert type="warning" showIcon title={t('office.import.blocked')} />
          )}
          <Tabs
            key={String(report.refused_rows > 0)}
            defaultActiveKey={report.refused_rows > 0 ? 'refused' : 'changes'}
            items={[
              {
                key: 'changes',
                label: t('office.import.tab.changes', { n: nChanges }),
                children: <ChangesTable report={report} />,
              },
              {
                key: 'refused',
                label: t('office.import.tab.refused', { n: report.refused_rows }),
                children: (
                  <>
                    {report.refused.length > 0 && (
                      <Button
                        className="above-table"
                        icon={<DownloadOutlined aria-hidden />}
                        onClick={() => giveCsv('refused.csv', refusedRows(t, report, language))}
                      >
                        {t('office.import.take-refused')}
                      </Button>
                    )}
                    <FindingsTable findings={report.refused} more={report.more_refused} />
                  </>
                ),
              },
              {
                key: 'notes',
                label: t('office.import.tab.notes', { n: report.notes.length + report.more_notes }),
                children: <FindingsTable findings={report.notes} more={report.more_notes} />,
              },
            ]}
          />
        </section>
      )}
      <Modal
        open={isAsking}
        title={t('office.import.sure', { n: nChanges })}
        okText={t('office.import.apply', { n: nChanges })}
        onOk={() => {
          setAsking(false);
          if (file) void send(file, false, options);
        }}
        onCancel={() => setAsking(false)}
      >
        {options.endMissing && <p>{t('office.import.sure.missing')}</p>}
        {options.admitBeyond && <p>{t('office.import.sure.admit')}</p>}
        <p>{t('office.import.sure.history')}</p>
      </Modal>
    </div>
  );
}

async function take(file: File, isDryRun: boolean, options: Options): Promise<ImportReport> {
  try {
    return await request<ImportReport>('POST', '/roster/import', {
      query: {
        dry_run: isDryRun,
        mode: options.skipRefused ? 'skip-refused' : 'all-or-nothing',
        missing: options.endMissing ? 'ends' : 'keeps',
        beyond_limit: options.admitBeyond ? 'admit' : 'refuse',
        why: options.why,
      },
      body: file,
      answerMaxMs: ANSWER_MAX_MS,
    });
  } catch (err) {
    // Rows were refused and so nothing was taken: the answer is the report, not a problem.
    if (err instanceof ApiProblem && err.status === 422 && Array.isArray(err.more.refused)) {
      return err.more as unknown as ImportReport;
    }
    throw err;
  }
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, n) => total + n, 0);
}

function refusedRows(t: ReturnType<typeof useText>, report: ImportReport, language: 'zh' | 'en'): string[][] {
  const head = [
    t('office.import.sheet'),
    t('office.import.row'),
    t('office.import.column'),
    t('office.import.reason'),
    t('office.import.todo'),
  ];
  const rows = report.refused.map((one) => [
    one.sheet ?? '',
    String(one.row),
    one.column ?? '',
    one.reason,
    one[language],
  ]);
  return [head, ...rows];
}
