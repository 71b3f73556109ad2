// One dwelling: the reckoning in plain words, who holds cards, the cards, what was.

import { EditOutlined, UserAddOutlined } from '@ant-design/icons';
import { Alert, Button, DatePicker, Descriptions, Skeleton, Tabs } from 'antd';
import dayjs from 'dayjs';
import { useState } from 'react';
import { useParams, useSearchParams } from 'react-router';
import { useText } from '../../i18n';
import { may, useMe } from '../../session';
import { Failure } from '../shared/failure';
import { ReasonProvider, useReason } from '../duty/grounds';
import { PageHead } from '../shared/page-head';
import { Tone } from '../shared/tone';
import { useDwelling, useResidents } from './data';
import { DwellingForm } from './dwelling-form';
import { FreeTag } from './free-tag';
import { History } from './history';
import { HolderForm } from './holder-form';
import { inWords } from './reckoning';
import { Residents } from './residents';
import type { Dwelling } from './types';
import { addressOf, tenureWord, whyNotWord } from './words';

export default function DwellingPage() {
  return (
    <ReasonProvider room="office">
      <DwellingBody />
    </ReasonProvider>
  );
}

function DwellingBody() {
  const t = useText();
  const { reason } = useReason();
  const { id = '' } = useParams();
  const [params, setParams] = useSearchParams();
  const on = params.get('on') ?? undefined;
  const dwelling = useDwelling(id, on);
  const residents = useResidents(id, on, reason);
  const mayWrite = may(useMe(), 'change-roster') && !on;
  const [form, setForm] = useState<'dwelling' | 'holder' | null>(null);

  if (dwelling.isLoading) return <Skeleton active />;
  const here = dwelling.data;
  if (!here) {
    return (
      <>
        <PageHead title={id} back="/office" />
        <Failure error={dwelling.error} retry={() => void dwelling.refetch()} />
        {on && <Button onClick={() => setParams({})}>{t('office.on.today')}</Button>}
      </>
    );
  }
  const nameOf = (holder: string) => residents.data?.items.find((one) => one.id === holder)?.name ?? holder;
  return (
    <div className="dwelling">
      <PageHead title={addressOf(t, here)} hint={here.id} back="/office" tag={<FreeTag of={here} />}>
        <label className="on-day">
          <span>{t('office.on')}</span>
          <DatePicker
            value={on ? dayjs(on) : null}
            placeholder={t('office.on.today')}
            maxDate={dayjs()}
            onChange={(day) => setParams(day ? { on: day.format('YYYY-MM-DD') } : {})}
          />
        </label>
        {mayWrite && (
          <>
            <Button icon={<EditOutlined aria-hidden />} onClick={() => setForm('dwelling')}>
              {t('office.dwelling.change')}
            </Button>
            <Button type="primary" icon={<UserAddOutlined aria-hidden />} onClick={() => setForm('holder')}>
              {t('office.holder.add')}
            </Button>
          </>
        )}
      </PageHead>
      {on && <Alert type="info" showIcon title={t('office.on.note', { day: on })} />}
      <ReckoningCard of={here} nameOf={nameOf} />
      <Tabs
        items={[
          {
            key: 'holders',
            label: t('office.tab.holders', { n: residents.data?.items.length ?? 0 }),
            children: (
              <Residents
                dwelling={here}
                residents={residents.data?.items ?? []}
                isLoading={residents.isLoading}
                error={residents.error}
                mayWrite={mayWrite}
              />
            ),
          },
          { key: 'history', label: t('office.tab.history'), children: <History id={id} /> },
        ]}
      />
      {form === 'dwelling' && <DwellingForm dwelling={here} onClose={() => setForm(null)} />}
      {form === 'holder' && <HolderForm dwelling={here} onClose={() => setForm(null)} />}
    </div>
  );
}

function ReckoningCard({ of, nameOf }: { of: Dwelling; nameOf: (holder: string) => string }) {
  const t = useText();
  const words = inWords(t, of);
  return (
    <section className={`reckoning reckoning-${words.level}`} aria-label={t('office.reckoning')}>
      <p className="reckoning-words" data-testid="reckoning">
        <strong>{words.sum}</strong>
        <span>
          {t('office.reckoning.join')}
          {words.holding}
        </span>
        <span>
          {t('office.reckoning.join')}
          {words.next}
        </span>
      </p>
      <Descriptions
        size="small"
        column={{ xs: 1, md: 2, xl: 4 }}
        items={[
          { key: 'tenure', label: t('office.col.tenure'), children: tenureWord(t, of.tenure) },
          { key: 'area', label: t('office.col.area'), children: of.area_m2 },
          {
            key: 'days',
            label: t('office.dwelling.days'),
            children: of.from || of.to ? `${of.from ?? '…'} – ${of.to ?? '…'}` : t('office.days.open'),
          },
          {
            key: 'rule',
            label: t('office.rule'),
            children: t('office.rule.words', {
              each: of.reckoning.m2_per_person,
              version: of.reckoning.rule_version,
            }),
          },
        ]}
      />
      {of.reckoning.not_counted.length > 0 && (
        <p className="not-counted">
          {t('office.not-counted')}
          {of.reckoning.not_counted.map((one) => (
            <Tone key={one.holder}>
              <bdi>{nameOf(one.holder)}</bdi> · {whyNotWord(t, one.why)}
            </Tone>
          ))}
        </p>
      )}
      {of.reckoning.surplus.length > 0 && (
        <p className="not-counted">
          {t('office.surplus')}
          {of.reckoning.surplus.map((one) => (
            <Tone key={one} tone="bad">
              <bdi>{nameOf(one)}</bdi>
            </Tone>
          ))}
        </p>
      )}
    </section>
  );
}
