// The installer's path: compound, stairwells, cameras, doors, linkages, and what is still missing.

import { Alert, Badge, Button, Flex, Skeleton, Steps } from 'antd';
import { useState } from 'react';
import { useSearchParams } from 'react-router';
import { useText } from '../../i18n';
import { may, useMe } from '../../session';
import { Failure } from '../shared/failure';
import { PageHead } from '../shared/page-head';
import { CameraStep } from './camera-step';
import { ChangeDialog } from './change-dialog';
import { CompoundStep } from './compound-step';
import { DoneStep } from './done-step';
import { DoorStep } from './door-step';
import { type Draft, useDraft } from './draft';
import { LinkageStep } from './linkage-step';
import { StairwellStep } from './stairwell-step';
import type { SiteChange } from './types';

const STEPS = ['compound', 'stairwells', 'cameras', 'doors', 'linkages', 'done'] as const;
type Step = (typeof STEPS)[number];

export default function InstallPage() {
  const t = useText();
  const [params, setParams] = useSearchParams();
  const draft = useDraft();
  const mayChange = may(useMe(), 'change-site');
  const [checking, setChecking] = useState<SiteChange | null>(null);
  const asked = params.get('step') as Step | null;
  const step: Step = asked && STEPS.includes(asked) ? asked : 'compound';
  const go = (to: Step) => setParams({ step: to });
  const idx = STEPS.indexOf(step);

  if (draft.isLoading) return <Skeleton active />;
  if (!draft.lists || !draft.site) {
    return <Failure error={draft.error} retry={() => void draft.reload()} />;
  }
  const counts: Partial<Record<Step, number>> = {
    stairwells: draft.lists.stairwells.length,
    cameras: draft.lists.cameras.length,
    doors: draft.lists.doors.length,
    linkages: draft.lists.linkages.length,
  };
  const canEdit = mayChange && draft.site.writable;
  return (
    <div className="install">
      <PageHead title={t('install.title')} hint={t('install.hint')} />
      {!draft.site.writable && <Alert type="warning" showIcon title={t('install.read-only')} />}
      <Steps
        size="small"
        className="install-steps"
        current={idx}
        onChange={(next) => go(STEPS[next] ?? 'compound')}
        items={STEPS.map((one) => ({
          title: (
            <span>
              {t(`install.step.${one}`)}
              {counts[one] !== undefined && <span className="quiet numbers"> {counts[one]}</span>}
              {(draft.dirty as string[]).includes(one) && <Badge dot offset={[4, -6]} />}
            </span>
          ),
        }))}
      />
      <section className="install-step" aria-label={t(`install.step.${step}`)}>
        <StepView step={step} draft={draft} canEdit={canEdit} />
      </section>
      <Flex className="install-bar" gap={12} align="center" justify="space-between" wrap>
        <Flex gap={8}>
          <Button disabled={idx === 0} onClick={() => go(STEPS[idx - 1] ?? step)}>
            {t('install.previous')}
          </Button>
          <Button disabled={idx === STEPS.length - 1} onClick={() => go(STEPS[idx + 1] ?? step)}>
            {t('install.next')}
          </Button>
        </Flex>
        {draft.change && (
          <Flex gap={12} align="center">
            <span role="status">
              {t('install.unsaved', {
                parts: draft.dirty.map((one) => t(`install.step.${one}`)).join(t('install.and')),
              })}
            </span>
            <Button onClick={draft.reset}>{t('install.discard')}</Button>
            <Button type="primary" disabled={!canEdit} onClick={() => setChecking(draft.change)}>
              {t('install.check.open')}
            </Button>
          </Flex>
        )}
      </Flex>
      {checking && (
        <ChangeDialog
          change={checking}
          onClose={() => setChecking(null)}
          onApplied={async () => {
            await draft.reload();
            draft.reset();
          }}
          onMeanwhile={draft.reload}
        />
      )}
    </div>
  );
}

function StepView({ step, draft, canEdit }: { step: Step; draft: Draft; canEdit: boolean }) {
  const { lists, edit } = draft;
  if (!lists) return null;
  switch (step) {
    case 'compound':
      return <CompoundStep lists={lists} edit={edit} canEdit={canEdit} />;
    case 'stairwells':
      return <StairwellStep lists={lists} edit={edit} canEdit={canEdit} isDirty={draft.change !== null} />;
    case 'cameras':
      return <CameraStep lists={lists} edit={edit} canEdit={canEdit} />;
    case 'doors':
      return <DoorStep lists={lists} edit={edit} canEdit={canEdit} kept={draft.site?.doors ?? []} />;
    case 'linkages':
      return <LinkageStep lists={lists} edit={edit} canEdit={canEdit} kept={draft.site?.linkages ?? []} />;
    case 'done':
      return <DoneStep isDirty={draft.change !== null} />;
  }
}
